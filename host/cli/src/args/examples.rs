//! The ends of the long helps.

macro_rules! examples {
    ($($name:ident = $($line:literal)+;)+) => {
        $(pub(super) const $name: &str = concat!("Examples:\n", $("  ", $line, "\n",)+);)+
    };
}

pub(super) const CUTOVER: &str = "\
Examples:
  cutover init                        # write a first workflow here
  cutover plan workflow.toml          # see what it would do
  cutover run workflow.toml           # plan, ask, do it

Exit codes:
    0  done, or nothing to do
    1  the answer is no: mistakes in a file, or refused before anything was written
    2  the plan has changes (only plan --detailed-exitcode)
   10  failed and rolled back, start state verified
   11  failed and something stayed: a person is needed
   12  stands still by policy; resume or rollback goes on
   13  waits for a gate, a long operation or a backend; resume goes on
   14  an approval is missing, rejected, expired or for another plan
   15  the world moved since the plan; nothing was written
   16  a digest, signature, journal or trust policy does not hold
   17  another process holds this run or target
   64  the command line is wrong
   70  a bug in cutover
  130  stopped by Ctrl-C; the journal is safe
  143  stopped by SIGTERM; the journal is safe";

examples! {
    INIT = "cutover init payments" "cutover init demo --template demo";
    VALIDATE = "cutover validate workflow.toml" "cutover validate -o sarif > cutover.sarif";
    FMT = "cutover fmt workflow.toml" "cutover fmt --check";
    GRAPH = "cutover graph workflow.toml" "cutover graph workflow.toml -o svg > workflow.svg";
    SCHEMA = "cutover schema > workflow.schema.json" "cutover schema workflow.toml --write";
    PLAN = "cutover plan workflow.toml --out payments.cutplan" "cutover plan workflow.toml --var prefix=payments/ --detailed-exitcode";
    PLAN_SHOW = "cutover plan show payments.cutplan" "cutover plan show payments.cutplan -o markdown > plan.md";
    PLAN_DIFF = "cutover plan diff monday.cutplan today.cutplan" "cutover plan diff monday.cutplan today.cutplan -o json";
    DOCTOR = "cutover doctor --fix" "cutover doctor workflow.toml -o json";
    RUN = "cutover run payments.cutplan" "cutover run workflow.toml --var prefix=payments/ --yes -o json";
    RESUME = "cutover resume 7f3a" "cutover resume 7f3a --max-wait 30m";
    ROLLBACK = "cutover rollback 7f3a --dry-run" "cutover rollback 7f3a --over 'copy/payments/db'";
    RUNS = "cutover runs list" "cutover runs show 7f3a";
    RUNS_WATCH = "cutover runs watch last" "cutover runs watch 7f3a -o jsonl";
    RUNS_LOGS = "cutover runs logs last --step copy" "cutover runs logs 7f3a --change 'copy/payments/db' -o jsonl";
    RUNS_METRICS = "cutover runs metrics 7f3a" "cutover runs metrics > /var/lib/node_exporter/cutover.prom";
    RUNS_LIST = "cutover runs list" "cutover runs list --state /var/lib/cutover -o json";
    RUNS_SHOW = "cutover runs show 7f3a" "cutover runs show 7f3a -o json";
    RUNS_PRE_IMAGE = "cutover runs pre-image 7f3a 'copy/payments/db'" "cutover runs pre-image 7f3a 'copy/payments/db' --out before.json";
    PLUGIN = "cutover plugin new mover --lang rust" "cutover plugin inspect target/plugins/vault-migrator.wasm";
    PLUGIN_NEW = "cutover plugin new mover --lang rust" "cutover plugin new health --lang python --world prober";
    PLUGIN_BUILD = "cutover plugin build" "cutover plugin build mover -o json";
    PLUGIN_TEST = "cutover plugin test" "cutover plugin test mover/mover.wasm --fixture more.toml";
    PLUGIN_DEV = "cutover plugin dev" "cutover plugin dev mover -o jsonl";
    PLUGIN_PACK = "cutover plugin pack target/wasm32-unknown-unknown/release/my_plugin.wasm --out plugins/my-plugin.wasm" "cutover plugin pack my_plugin.wasm --out my-plugin.wasm -o json";
    PLUGIN_INSPECT = "cutover plugin inspect target/plugins/vault-migrator.wasm" "cutover plugin inspect my-plugin.wasm -o json";
    EXPLAIN = "cutover explain CUT0104" "cutover explain exit-codes";
    CONFIG = "cutover config show" "cutover config show --origin";
    CONFIG_SHOW = "cutover config show --origin" "cutover config show --state /var/lib/cutover -o json";
    MAN = "cutover man > cutover.1" "cutover man --dir man/man1";
    DEMO_APP = "cutover demo-app" "cutover demo-app --fail-after 1";
    COMPLETIONS = "cutover completions bash > cutover.bash" "cutover completions fish > cutover.fish";
}

#[cfg(test)]
mod tests {
    use crate::exit_code::ExitCode;

    #[test]
    fn the_list_of_exit_codes_is_complete() {
        let lines: Vec<String> = ExitCode::ALL.iter().map(|code| format!("{:>5}  {}", code.number(), code.meaning())).collect();
        let expected = format!("\nExit codes:\n{}", lines.join("\n"));
        assert!(super::CUTOVER.ends_with(&expected), "{expected}");
    }
}
