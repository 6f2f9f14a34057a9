//! The scripts that make a shell ask `cutover __complete`.

use clap::ValueEnum;

/// A shell that can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash; put it into ~/.bashrc: eval "$(cutover completions bash)"
    Bash,
    /// Zsh; put it into ~/.zshrc: eval "$(cutover completions zsh)"
    Zsh,
    /// Fish; write it to ~/.config/fish/completions/cutover.fish
    Fish,
    /// Elvish; put it into rc.elv: eval (cutover completions elvish | slurp)
    Elvish,
    /// PowerShell; put it into $PROFILE: cutover completions powershell | Out-String | Invoke-Expression
    Powershell,
}

/// What the shell has to read once.
#[must_use]
pub const fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        Shell::Elvish => ELVISH,
        Shell::Powershell => POWERSHELL,
    }
}

const BASH: &str = r#"_cutover() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("$word")
    done < <("${COMP_WORDS[0]}" __complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _cutover cutover
"#;

const ZSH: &str = r#"#compdef cutover
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
"#;

const FISH: &str = r#"function __cutover_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    $words[1] __complete fish -- $words[2..] (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete --command cutover --condition 'count (__cutover_complete) >/dev/null' --no-files --arguments '(__cutover_complete)'
"#;

const ELVISH: &str = r#"use str
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
"#;

/// Some versions of PowerShell lose an empty argument: `--next` says that the last word has not begun.
const POWERSHELL: &str = r#"Register-ArgumentCompleter -Native -CommandName cutover -ScriptBlock {
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
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_asks_in_its_own_name() {
        for shell in Shell::value_variants() {
            let name = shell.to_possible_value().expect("none is hidden").get_name().to_owned();
            let text = script(*shell);
            assert!(text.contains(&format!(" __complete {name} ")) && text.contains(" -- ") && text.ends_with('\n'), "{text}");
        }
    }
}
