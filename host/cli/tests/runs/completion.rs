//! Completion: a real bash asks the program, and so do the scripts of the other shells.

use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::site::{Site, plugins, seen};

/// What bash would offer at the end of `words`, which it has taken apart already.
fn offered(site: &Site, words: &[&str]) -> Vec<String> {
    let script = r#"
        eval "$(cutover completions bash)"
        COMP_WORDS=(cutover "$@"); COMP_CWORD=$#
        _cutover
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cutover"));
    let path = format!("{}:/usr/bin:/bin", program.parent().expect("a folder").display());
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(words).current_dir(site.0.path()).env_clear().env("PATH", path);
    let output = bash.stdin(Stdio::null()).output().expect("bash");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", seen(&output));
    String::from_utf8(output.stdout).expect("UTF-8").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_runs_steps_and_changes() {
    let site = Site::new();
    assert_eq!(offered(&site, &["ru"]), ["run", "runs"]);
    assert!(offered(&site, &["runs", "show", ""]).is_empty(), "nothing ran yet");
    assert!(!site.path(".cutover").exists(), "whoever presses Tab makes no folder");
    site.cutover("run w.toml --yes", 0);
    let run = site.document("runs list", 0)["runs"][0]["run"].as_str().expect("an id").to_owned();
    assert_eq!(offered(&site, &["runs", "show", ""]), ["last", &run]);
    assert_eq!(offered(&site, &["resume", &run[..10]]), [run.clone()]);
    assert_eq!(offered(&site, &["runs", "logs", &run, "--step", ""]), ["copy", "retire"]);
    assert_eq!(offered(&site, &["--output", "=", "jso"]), ["json", "jsonl"]);
    // Bash takes words apart at colons, and puts the rest behind what stands there.
    let rest = ["app/API_KEY.json.age", "app/DB_PASSWORD.json.age"];
    assert_eq!(offered(&site, &["rollback", "last", "--over", "copy/target", ":", "app"]), rest);
    assert!(offered(&site, &["run", "w"]).is_empty(), "files are bash's own");
    let elsewhere = ["--state", ".cutover", "runs", "watch", ""];
    std::fs::rename(site.path(".cutover"), site.path("moved")).expect("moved");
    assert!(offered(&site, &elsewhere).is_empty());
    assert_eq!(offered(&site, &["--state", "moved", "runs", "watch", ""]), ["last", &run]);
}

#[test]
fn the_other_shells_get_a_word_a_tab_and_what_it_is() {
    let site = Site::new();
    assert!(plugins().exists());
    let text = |line: &str| String::from_utf8(site.cutover(line, 0).stdout).expect("UTF-8");
    assert_snapshot!(text("__complete zsh -- runs l"), @r"
    list	List the runs of the state folder, newest last
    logs	Show what happened in a run, and what its plugins logged
    ");
    assert_eq!(text("__complete powershell --next -- runs logs last --follow --step"), "");
    assert_eq!(text("__complete fish -- --progress n"), "none\tNothing\n");
}

#[test]
fn the_script_of_zsh() {
    assert_snapshot!(String::from_utf8_lossy(&Site::new().cutover("completions zsh", 0).stdout), @r###"
    #compdef cutover
    _cutover() {
        local line
        local -a found
        for line in "${(@f)$("${words[1]}" __complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
            [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        done
        if (( $#found )); then
            _describe -V cutover found
        else
            _files
        fi
    }
    if [[ ${funcstack[1]} == _cutover ]]; then
        _cutover "$@"
    else
        compdef _cutover cutover
    fi
    "###);
}

#[test]
fn the_script_of_fish() {
    assert_snapshot!(String::from_utf8_lossy(&Site::new().cutover("completions fish", 0).stdout), @r###"
    function __cutover_complete
        set -l words (commandline --tokenize --cut-at-cursor --current-process)
        $words[1] __complete fish -- $words[2..] (commandline --current-token --cut-at-cursor) 2>/dev/null
    end
    complete --command cutover --condition 'count (__cutover_complete) >/dev/null' --no-files --arguments '(__cutover_complete)'
    "###);
}

#[test]
fn the_script_of_elvish() {
    assert_snapshot!(String::from_utf8_lossy(&Site::new().cutover("completions elvish", 0).stdout), @r###"
    use str
    set edit:completion:arg-completer[cutover] = {|@words|
        var found = [(cutover __complete elvish -- (all $words[1..]) 2>/dev/null | from-lines)]
        if (== 0 (count $found)) {
            edit:complete-filename $words[-1]
        } else {
            for line $found {
                var parts = [(str:split "\t" $line)]
                edit:complex-candidate $parts[0] &display=(str:join "  " $parts)
            }
        }
    }
    "###);
}

#[test]
fn the_script_of_powershell() {
    assert_snapshot!(String::from_utf8_lossy(&Site::new().cutover("completions powershell", 0).stdout), @r###"
    Register-ArgumentCompleter -Native -CommandName cutover -ScriptBlock {
        param($wordToComplete, $commandAst, $cursorPosition)
        $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
            Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
        $next = if ($wordToComplete -eq '') { @('--next') } else { @() }
        & $commandAst.CommandElements[0].ToString() __complete powershell @next -- @words 2>$null | ForEach-Object {
            $word, $help = $_ -split "`t", 2
            if (-not $help) { $help = $word }
            [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $help)
        }
    }
    "###);
}
