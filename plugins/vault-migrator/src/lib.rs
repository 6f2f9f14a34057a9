//! Moves secrets between stores. Thin hooks; each operation is a file of plain functions.
//!
//! - [`copy`]: `copy-files`, a legacy folder into an age-encrypted one, one change per secret
//! - [`retire`]: `retire-files`, the legacy file moved aside
//! - [`destroy`]: `destroy-files`, the way back given up
//! - [`kv`]: `copy-kv`, `retire-kv`, `destroy-kv`, the same for KV mounts of Vault and `OpenBao`

mod copy;
mod cover;
mod destroy;
mod folder;
mod instruction;
mod kv;
mod name;
mod number;
mod retire;
mod walk;

use cutover_plugin::{Change, Check, Context, Failure, LossCode, Manifest, Migrator, Page, Progress, Snapshot, Stage, export_migrator};
use serde_json::Value;

use instruction::Instruction;

struct VaultMigrator;

impl Migrator for VaultMigrator {
    fn manifest() -> Manifest {
        let manifest = Manifest::new("cutover:vault-migrator", env!("CARGO_PKG_VERSION"), "moves secrets between stores")
            .operation(copy::operation())
            .operation(retire::operation())
            .operation(destroy::operation())
            .operation(kv::copy::operation())
            .operation(kv::retire::operation())
            .operation(kv::destroy::operation())
            .loss(LossCode::inherent("file-comments", "comments, blank lines, order and quoting stay in the legacy file"))
            .loss(LossCode::inherent("file-format", "what only the legacy format knows (dates, anchors, tags) arrives as JSON"))
            .loss(LossCode::inherent("file-mode", "owner, mode and labels of the legacy file are not those of its copies"));
        kv::loss::codes().into_iter().fold(manifest, Manifest::loss)
    }

    fn plan(operation: &str, input: &Value, linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
        match operation {
            copy::NAME => copy::plan(input, cursor),
            retire::NAME => retire::plan(linked),
            destroy::NAME => destroy::plan(linked),
            kv::copy::NAME => kv::copy::plan(input, cursor),
            kv::retire::NAME => kv::retire::plan(linked, cursor),
            kv::destroy::NAME => kv::destroy::plan(linked, cursor),
            _ => Err(Failure::invalid_input(format!("there is no operation `{operation}`"))),
        }
    }

    fn capture(_: &Context, _: &str, change: &Change) -> Result<Snapshot, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::capture(&copied),
            Instruction::Retire(retired) => retire::capture(&retired, &change.links),
            Instruction::Destroy(destroyed) => destroy::capture(&destroyed, &change.links),
            Instruction::CopyKv(copied) => kv::apply::capture(&copied),
            Instruction::RetireKv(retired) => kv::retire::capture(&retired),
            Instruction::DestroyKv(destroyed) => kv::destroy::capture(&destroyed),
        }
    }

    fn apply(context: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::apply(&copied, pre_image, memo),
            Instruction::Retire(retired) => retire::apply(&retired, pre_image),
            Instruction::Destroy(destroyed) => destroy::apply(&destroyed, pre_image),
            Instruction::CopyKv(copied) => kv::apply::apply(context, &copied, pre_image, written(memo)),
            Instruction::RetireKv(retired) => kv::retire::apply(&retired, pre_image),
            Instruction::DestroyKv(destroyed) => kv::destroy::apply(&destroyed, pre_image),
        }
    }

    fn rollback(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        match change.instruction()? {
            Instruction::Copy(copied) => copy::rollback(&copied, pre_image, memo),
            Instruction::Retire(retired) => retire::rollback(&retired, pre_image),
            Instruction::Destroy(destroyed) => destroy::rollback(&destroyed, pre_image),
            Instruction::CopyKv(copied) => kv::rollback::rollback(&copied, pre_image, memo),
            Instruction::RetireKv(retired) => kv::retire::rollback(&retired, pre_image),
            Instruction::DestroyKv(destroyed) => kv::destroy::rollback(&destroyed, pre_image),
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
            Instruction::Retire(retired) => retire::verify(&retired, pre_image, stage),
            Instruction::Destroy(destroyed) => destroy::verify(&destroyed, stage),
            Instruction::CopyKv(copied) => kv::verify::verify(&copied, pre_image, stage),
            Instruction::RetireKv(retired) => kv::retire::verify(&retired, pre_image, stage),
            Instruction::DestroyKv(destroyed) => kv::destroy::verify(&destroyed, stage),
        }
    }
}

/// What an earlier attempt wrote. On the way there keys of KV mounts are never written over, whoever answers for what is there.
fn written(memo: Option<&Value>) -> Option<&Value> {
    memo.filter(|memo| !memo.is_null())
}

export_migrator!(VaultMigrator);

#[cfg(test)]
mod tests {
    use cutover_plugin::{Verdict, testing::Folder};
    use serde_json::json;

    use super::*;

    fn migrate(operation: &str, linked: &[Change]) -> Vec<Change> {
        let context = Context::default();
        let changes = VaultMigrator::plan(operation, &json!({}), linked, None).expect("a plan").changes;
        for change in &changes {
            let before = VaultMigrator::capture(&context, operation, change).expect("a snapshot");
            VaultMigrator::apply(&context, operation, change, before.state.as_ref(), None).expect("applied");
            let after = VaultMigrator::capture(&context, operation, change).expect("a snapshot");
            assert_eq!(after.state, before.expected, "{}", change.id);
            let checks = VaultMigrator::verify(&context, operation, change, before.state.as_ref(), None, Stage::Applied).expect("checks");
            assert!(checks.iter().all(|check| check.verdict == Verdict::Pass), "{checks:?}");
        }
        changes
    }

    #[test]
    fn copies_retires_and_destroys() {
        let document = json!({"DB_PASSWORD": "hunter2", "PORT": "80"});
        let folder = Folder::new().sealing("source").sealing("target").with("source", "pay/api.env", document).install();
        let copies = migrate("copy-files", &[]);
        let retired = migrate("retire-files", &copies);
        assert_eq!(folder.paths("source"), ["pay/api.env.retired"]);
        migrate("destroy-files", &retired);
        assert!(folder.paths("source").is_empty());
        assert_eq!(folder.paths("target"), ["pay/api/DB_PASSWORD.json.age", "pay/api/PORT.json.age"]);
    }

    #[test]
    fn every_loss_is_of_the_closed_list() {
        let source = |folder: Folder, name: &str| folder.with("source", name, json!({"a": 1}));
        let _folder = ["a.env", "b.json", "c.yaml", "d.toml", "e.pem"].into_iter().fold(Folder::new(), source).install();
        let manifest = format!("{:?}", VaultMigrator::manifest());
        let changes = VaultMigrator::plan("copy-files", &json!({}), &[], None).expect("a plan").changes;
        assert_eq!(changes.len(), 5);
        for loss in changes.iter().flat_map(|change| &change.losses) {
            assert!(manifest.contains(&format!("code: {:?}", loss.code)), "{}", loss.code);
        }
    }

    #[test]
    fn an_unknown_operation_is_refused() {
        assert!(matches!(VaultMigrator::plan("copy", &json!({}), &[], None), Err(Failure::InvalidInput(_))));
    }
}
