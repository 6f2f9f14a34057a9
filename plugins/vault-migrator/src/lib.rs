//! Moves secrets between stores. Thin hooks; each operation is a file of plain functions.
//!
//! - [`copy`]: `copy-files`, a legacy folder into an age-encrypted one, one change per secret
//! - [`retire`]: `retire-files`, the legacy file moved aside
//! - [`destroy`]: `destroy-files`, the way back given up

mod copy;
mod destroy;
mod folder;
mod instruction;
mod name;
mod retire;
mod walk;

use cutover_plugin::{Change, Check, Context, Failure, LossCode, Manifest, Migrator, Page, Progress, Snapshot, Stage, export_migrator};
use serde_json::Value;

use instruction::Instruction;

struct VaultMigrator;

impl Migrator for VaultMigrator {
    fn manifest() -> Manifest {
        Manifest::new("cutover:vault-migrator", env!("CARGO_PKG_VERSION"), "moves secrets between stores")
            .operation(copy::operation())
            .operation(retire::operation())
            .operation(destroy::operation())
            .loss(LossCode::inherent("file-comments", "comments, blank lines, order and quoting stay in the legacy file"))
            .loss(LossCode::inherent("file-format", "what only the legacy format knows (dates, anchors, tags) arrives as JSON"))
            .loss(LossCode::inherent("file-mode", "owner, mode and labels of the legacy file are not those of its copies"))
    }

    fn plan(operation: &str, input: &Value, linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
        match operation {
            copy::NAME => copy::plan(input, cursor),
            retire::NAME => retire::plan(linked),
            destroy::NAME => destroy::plan(linked),
            _ => Err(Failure::invalid_input(format!("there is no operation `{operation}`"))),
        }
    }

    fn capture(_: &Context, _: &str, change: &Change) -> Result<Snapshot, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::capture(&copied),
            Instruction::Retire(retired) => retire::capture(&retired),
            Instruction::Destroy(destroyed) => destroy::capture(&destroyed),
        }
    }

    fn apply(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::apply(&copied, pre_image, memo),
            Instruction::Retire(retired) => retire::apply(&retired, pre_image),
            Instruction::Destroy(destroyed) => destroy::apply(&destroyed, pre_image),
        }
    }

    fn rollback(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::rollback(&copied, pre_image, memo),
            Instruction::Retire(retired) => retire::rollback(&retired, pre_image),
            Instruction::Destroy(destroyed) => destroy::rollback(&destroyed, pre_image),
        }
    }

    fn verify(
        _: &Context,
        _: &str,
        change: &Change,
        pre_image: Option<&Value>,
        _: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::verify(&copied, pre_image, stage),
            Instruction::Retire(retired) => retire::verify(&retired, stage),
            Instruction::Destroy(destroyed) => destroy::verify(&destroyed, stage),
        }
    }
}

export_migrator!(VaultMigrator);
