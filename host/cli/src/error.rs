//! What went wrong with a command, for people and for programs.

use std::{error::Error, fmt::Write as _};

use serde::Serialize;

use crate::{
    exit_code::ExitCode,
    report::{palette, printable},
};

/// What sort of problem it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The answer is no: nothing was written.
    No,
    /// An approval is missing or does not fit.
    Unapproved,
    /// The world moved since the plan.
    Stale,
    /// Something that must be authentic is not.
    Untrusted,
    /// Somebody else holds the run or the target.
    Held,
    /// The command line is wrong.
    Usage,
    /// A run broke off or stands still; `resume` goes on.
    Paused,
    /// A bug of ours.
    Bug,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl ErrorKind {
    /// The exit code of the kind.
    #[must_use]
    pub const fn exit(self) -> ExitCode {
        match self {
            Self::No => ExitCode::No,
            Self::Unapproved => ExitCode::Unapproved,
            Self::Stale => ExitCode::Stale,
            Self::Untrusted => ExitCode::Untrusted,
            Self::Held => ExitCode::Held,
            Self::Usage => ExitCode::Usage,
            Self::Paused => ExitCode::Paused,
            Self::Bug => ExitCode::Bug,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Terminated => ExitCode::Terminated,
        }
    }
}

/// Codes of problems that this room finds itself. Those of other rooms come with their errors.
pub mod code {
    /// The command line does not parse.
    pub const USAGE: &str = "CUT6001";
    /// A command or option of a later version.
    pub const NOT_YET: &str = "CUT6002";
    /// A value of the command line or of a `CUTOVER_*` variable is wrong.
    pub const SETTING: &str = "CUT6003";
    /// A `--var` or a file of variables is wrong.
    pub const VARIABLE: &str = "CUT6004";
    /// A file cannot be read.
    pub const FILE_READ: &str = "CUT6011";
    /// A file is not what it should be: a folder, too large, not UTF-8.
    pub const FILE_FORM: &str = "CUT6012";
    /// A file cannot be written.
    pub const FILE_WRITE: &str = "CUT6013";
    /// A file is there already.
    pub const FILE_EXISTS: &str = "CUT6014";
    /// The machine refuses something that the program needs.
    pub const MACHINE: &str = "CUT6031";
    /// Stopped by a signal.
    pub const STOPPED: &str = "CUT6041";
    /// A question was answered with no, or nobody could be asked.
    pub const UNCONFIRMED: &str = "CUT6042";
    /// Output that would have held a secret was withheld.
    pub const LEAK: &str = "CUT6043";
    /// No run, or more than one, has that name.
    pub const RUN: &str = "CUT6051";
    /// The run is over.
    pub const AT_REST: &str = "CUT6052";
    /// No change has that name.
    pub const CHANGE: &str = "CUT6053";
    /// A workflow has mistakes, or a plan cannot be made of it.
    pub const WORKFLOW: &str = "CUT6054";
    /// A saved plan cannot be read or is not the one that was saved.
    pub const PLAN: &str = "CUT6055";
    /// A plugin is not the one that the plan or the workflow pins.
    pub const OTHER_PLUGIN: &str = "CUT6056";
    /// A connection leads elsewhere than when the plan was made.
    pub const CONNECTION_MOVED: &str = "CUT6057";
    /// The world moved between plan and run.
    pub const DRIFT: &str = "CUT6058";
    /// The change's body or pre-image cannot be read.
    pub const DAMAGED: &str = "CUT6059";
    /// A run broke off because its journal or the disk could not be written.
    pub const BROKE_OFF: &str = "CUT6060";
    /// Something stands where changes were to be made.
    pub const CONFLICT: &str = "CUT6061";
    /// No step of a run has that name.
    pub const STEP: &str = "CUT6062";
    /// A folder has no plugin in it that can be built.
    pub const PLUGIN_FOLDER: &str = "CUT6071";
    /// A tool that makes plugins is not here.
    pub const TOOL: &str = "CUT6072";
    /// A tool could not build a plugin.
    pub const BUILD: &str = "CUT6073";
    /// A fixture of the conformance kit is missing or wrong.
    pub const FIXTURE: &str = "CUT6074";
    /// A probe said no, or saw too little.
    pub const PROBE: &str = "CUT4103";
    /// Old and new both worked for longer than allowed.
    pub const DUAL_RUN: &str = "CUT4104";
    /// The source of a verified change moved.
    pub const SOURCE_MOVED: &str = "CUT4105";
    /// A bug of ours.
    pub const BUG: &str = "CUT9001";
}

/// The one error type of commands. Never holds a secret: whoever builds one puts names and places in it, not values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    kind: ErrorKind,
    code: String,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// How a command ends: an exit code, or an error that has one.
pub type Outcome = Result<ExitCode, CommandError>;

impl CommandError {
    /// An error of any kind. `message` is a lower-case fragment without a full stop.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// The answer is no.
    pub fn no(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::No, code, message)
    }

    /// The command line is wrong.
    pub fn usage(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, code, message)
    }

    /// A command, option or form of a later version.
    pub fn not_yet(what: &str) -> Self {
        Self::usage(code::NOT_YET, format!("{what} is not yet supported")).hint("run `cutover --help` for what this version can do")
    }

    /// Something that must be authentic is not.
    pub fn untrusted(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Untrusted, code, message)
    }

    /// Somebody else holds what is needed.
    pub fn held(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Held, code, message)
    }

    /// The world moved since the plan.
    pub fn stale(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Stale, code, message)
    }

    /// A panic at `place`. Its payload is left out: it may hold values.
    pub fn bug(place: &str) -> Self {
        Self::new(ErrorKind::Bug, code::BUG, format!("a bug in cutover stopped the program at {place}"))
            .hint("what it was doing is left out because it could hold secrets; a run that was under way can be resumed")
    }

    /// A run that broke off; `resume` goes on.
    pub fn paused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Paused, code, message)
    }

    /// A defect that was noticed in time. `what` holds no values.
    pub fn defect(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, code::BUG, what).hint("a run that was under way can be resumed")
    }

    /// Takes `error` and its sources as causes.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds one cause in words.
    #[must_use]
    pub fn because_of(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds advice: what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What sort of problem it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The code, such as `CUT6011`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What went wrong, with its causes, as one text.
    pub fn summary(&self) -> String {
        std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// What to do now.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        self.kind.exit()
    }

    /// For the terminal, with ANSI styles that the console takes out where they do not belong:
    /// `error[CUT6011]: …`, `caused by: …`, `help: …`.
    #[must_use]
    pub fn text(&self) -> String {
        let (error, strong, help) = (palette::ERROR, palette::STRONG, palette::HELP);
        let mut out = format!("{error}error[{}]{error:#}{strong}: {}{strong:#}\n", self.code, printable::lines(&self.message));
        for cause in &self.causes {
            let _ = writeln!(out, "  caused by: {}", printable::lines(cause));
        }
        for hint in &self.hints {
            let _ = writeln!(out, "{help}help{help:#}: {}", printable::lines(hint));
        }
        out
    }

    /// For programs: `{"error": {"code", "message", "causes", "help"}, "exit": N}`.
    #[must_use]
    pub fn document(&self) -> impl Serialize + '_ {
        Document { error: Body { code: &self.code, message: &self.message, causes: &self.causes, help: &self.hints }, exit: self.exit() }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
    exit: ExitCode,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    causes: &'a [String],
    help: &'a [String],
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn example() -> CommandError {
        CommandError::no(code::FILE_READ, "cannot read `a.toml`")
            .because(&std::io::Error::other("device \u{1b}[31mgone"))
            .hint("plug it in")
    }

    #[test]
    fn text_names_cause_and_help_and_escapes_control_characters() {
        assert_snapshot!(anstream::adapter::strip_str(&example().text()), @r"
        error[CUT6011]: cannot read `a.toml`
          caused by: device \u{1b}[31mgone
        help: plug it in
        ");
    }

    #[test]
    fn document_has_the_exit_code() {
        assert_eq!(
            serde_json::to_value(example().document()).expect("JSON"),
            serde_json::json!({
                "error": {"code": "CUT6011", "message": "cannot read `a.toml`", "causes": ["device \u{1b}[31mgone"], "help": ["plug it in"]},
                "exit": 1
            })
        );
    }
}
