//! Every exit code that the program documents, each with a real run of the program that ends with it.

use cutover_cli::ExitCode;
use rustix::process::Signal;

use crate::{
    interruption::{signal, waiting},
    site::{GATE, Site, probed_at, seen, server},
};

/// A table of exit codes: `Code: what brings it about => a site and the commands of which the last one ends with it`.
macro_rules! produced {
    ($($code:ident: $name:ident => $scene:expr,)+) => {
        $(
            #[test]
            fn $name() {
                let scene: fn() -> i32 = $scene;
                assert_eq!(scene(), i32::from(ExitCode::$code.number()));
            }
        )+

        /// The codes of the table.
        const PRODUCED: &[ExitCode] = &[$(ExitCode::$code),+];
    };
}

/// Codes that nothing can end with today, each with the reason. A test below fails once the reason is gone.
const NOT_YET: &[(ExitCode, &str)] = &[(ExitCode::Unapproved, "a workflow with an approval gate is refused (CUT0109)")];

produced! {
    Done: a_run_that_completes => || ends(&Site::new(), "run w.toml --yes"),
    No: a_workflow_with_a_mistake => || {
        let site = Site::new();
        site.write("w.toml", "cutover = 1\n");
        ends(&site, "validate w.toml")
    },
    Changes: a_plan_with_changes_where_scripts_ask_for_it => || ends(&Site::new(), "plan w.toml --detailed-exitcode"),
    RolledBack: a_probe_that_says_no => || ends(&probed_at("", &server(0)), "run w.toml --yes"),
    Stuck: a_target_that_cannot_be_read_any_more_on_the_way_back => || {
        let site = Site::new();
        site.cutover("run w.toml --yes", 0);
        site.write("store/app/DB_PASSWORD.json.age", "no age file at all");
        ends(&site, "rollback last --yes")
    },
    Paused: a_probe_that_says_no_where_the_policy_is_to_pause => || {
        ends(&probed_at("on_failure = \"pause\"", &server(0)), "run w.toml --yes")
    },
    Waiting: a_gate_that_opens_later => || ends(&Site::with("", "", "", GATE), "run w.toml --yes --max-wait 1s"),
    Stale: a_source_that_moved_between_plan_and_run => || {
        let site = Site::new();
        site.cutover("plan w.toml --out a.cutplan", 0);
        std::fs::remove_file(site.path("legacy/app.env")).expect("removed");
        ends(&site, "run a.cutplan")
    },
    Untrusted: a_plan_that_somebody_edited => || {
        let site = Site::new();
        site.cutover("plan w.toml --out a.cutplan", 0);
        let plan = std::fs::read_to_string(site.path("a.cutplan")).expect("a plan");
        site.write("a.cutplan", &plan.replacen("\"tests\"", "\"bests\"", 1));
        ends(&site, "run a.cutplan --yes")
    },
    Held: a_target_that_another_process_holds => || {
        let site = Site::with("", "", "", GATE);
        let (mut child, _lines) = waiting(&site);
        let code = ends(&site, "run w.toml --yes");
        child.kill().and_then(|()| child.wait()).expect("it ends");
        code
    },
    Usage: an_option_that_does_not_exist => || ends(&Site::new(), "plan --outt x w.toml"),
    Bug: a_panic => || ends(&Site::new(), "__panic x"),
    Interrupted: a_run_stopped_by_ctrl_c => || stopped_by(Signal::INT),
    Terminated: a_run_stopped_by_a_service_manager => || stopped_by(Signal::TERM),
}

#[test]
fn every_code_is_in_one_of_the_two_tables_and_none_is_what_a_panic_of_rust_ends_with() {
    let tables = || PRODUCED.iter().chain(NOT_YET.iter().map(|(code, _)| code));
    for code in ExitCode::ALL {
        let found = tables().filter(|listed| **listed == code).count();
        assert_eq!(found, 1, "{code:?} ({}): add a run that ends with it to the table of this file", code.number());
        assert!(code.number() != 101, "{code:?}");
    }
    assert_eq!(tables().count(), ExitCode::ALL.len());
}

/// What `explain` lists is what the tables hold.
#[test]
fn the_documented_codes_are_those_of_the_tables() {
    let listed = String::from_utf8(Site::new().cutover("explain exit-codes", 0).stdout).expect("UTF-8");
    let numbers: Vec<u8> = listed.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(numbers, ExitCode::ALL.map(ExitCode::number), "{listed}");
}

/// Once a workflow can have such a gate, 14 belongs into the upper table.
#[test]
fn approvals_are_still_refused() {
    let site = Site::with("", "", "", "[[step]]\nid = \"ask\"\ngate = \"approval\"\n");
    for line in ["validate w.toml", "plan w.toml", "run w.toml --yes"] {
        let told = site.document(line, 1)["diagnostics"].clone();
        let is_refused = told.as_array().is_some_and(|problems| problems.iter().any(|problem| problem["code"] == "CUT0109"));
        assert!(is_refused, "{line}: {NOT_YET:?}: {told:#}");
    }
}

/// How the program ends.
fn ends(site: &Site, line: &str) -> i32 {
    let output = site.command(line).output().expect("the program starts");
    output.status.code().unwrap_or_else(|| panic!("{line}: a signal ended it: {}", seen(&output)))
}

fn stopped_by(stop: Signal) -> i32 {
    let site = Site::with("", "", "", GATE);
    let (child, _lines) = waiting(&site);
    signal(&child, stop);
    child.wait_with_output().expect("it ends").status.code().expect("it ended by itself")
}
