//! Names of sessions in completion scripts: what is generated knows commands and options only.

use clap_complete::Shell;

/// In bash, a function around the generated one. Names are added where a command takes a session, or an option one.
const BASH: &str = r#"
_sorna_with_sessions() {
    _sorna "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" word takes=""
    [[ "${cur}" == -* ]] && return 0
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${word}" in
            logs|ls|download|interrupt|rename|events|info|restart|destroy|upload)
                takes=yes
                ;;
        esac
    done
    case "${prev}" in
        -t|--client-token)
            COMPREPLY=()
            takes=yes
            ;;
        --*)
            return 0
            ;;
    esac
    [[ -n "${takes}" ]] || return 0
    local names
    names="$(sorna ps -q 2>/dev/null)" || return 0
    local reply
    for reply in $(compgen -W "${names}" -- "${cur}"); do
        COMPREPLY+=("${reply}")
    done
}
"#;

const ZSH: &str = r#"
(( $+functions[_sorna_sessions] )) ||
_sorna_sessions() {
    local -a names
    names=(${(f)"$(sorna ps -q 2>/dev/null)"})
    compadd -a names
}
"#;

/// In fish, conditions beside the generated ones.
const FISH: &str = r#"
for command in logs ls download interrupt rename events info restart destroy upload
    complete -c sorna -n "__fish_sorna_using_subcommand $command" -f -a "(sorna ps -q 2>/dev/null)"
end
for command in run shell upload complete
    complete -c sorna -n "__fish_sorna_using_subcommand $command" -s t -l client-token -x -a "(sorna ps -q 2>/dev/null)"
end
"#;

/// Adds the names of sessions to a script for `sorna`.
pub(super) fn add(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => {
            const END: &str = "\nif [[ \"${BASH_VERSINFO[0]}\"";
            let Some(end) = script.rfind(END) else {
                return script;
            };
            let (functions, registration) = script.split_at(end);
            let registration = registration.replace("-F _sorna ", "-F _sorna_with_sessions ");
            format!("{functions}{BASH}{registration}")
        }
        Shell::Zsh => {
            const END: &str = "\nif [ \"$funcstack[1]\" = \"_sorna\" ]";
            let Some(end) = script.rfind(END) else {
                return script;
            };
            let (functions, registration) = script.split_at(end);
            let line = |line: &str| match takes_a_session(line) {
                true => line.replace(":_default'", ":_sorna_sessions'"),
                false => line.to_owned(),
            };
            let lines: Vec<_> = functions.lines().map(line).collect();
            format!("{}\n{ZSH}{registration}", lines.join("\n"))
        }
        Shell::Fish => script + FISH,
        _ => script,
    }
}

/// Whether a line of a script for zsh describes an argument or option that a session is a value of.
fn takes_a_session(line: &str) -> bool {
    let starts = [
        "':session -- ",
        "'::session -- ",
        "'*::ids -- ",
        "'*:ids -- ",
    ];
    starts.iter().any(|start| line.starts_with(start)) || line.contains(":TOKEN:")
}
