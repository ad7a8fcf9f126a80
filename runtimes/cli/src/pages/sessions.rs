//! Names of sessions in completion scripts: what is generated knows commands and options only.

use clap_complete::Shell;

/// In bash, a function around the generated one. Sessions are added where a command takes one, or an option: their names,
/// and their IDs once something of one was typed. The gateway is that of the command line.
const BASH: &str = r#"
_sorna_settings() {
    local -a words=()
    local word glue="" i last
    settings=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        # Bash divides words at these characters.
        if [[ ("${word}" == [=:]* || -n "${glue}") && ${#words[@]} -gt 0 ]]; then
            last=$((${#words[@]} - 1))
            words[last]+="${word}"
        else
            words+=("${word}")
        fi
        glue=""
        [[ "${word}" == *[=:] ]] && glue=yes
    done
    for ((i = 0; i < ${#words[@]}; i++)); do
        case "${words[i]}" in
            --endpoint|--profile|--config|--ca-file|--api)
                settings+=("${words[i]}=$(_sorna_value "${words[i+1]-}")")
                i=$((i + 1))
                ;;
            --endpoint=*|--profile=*|--config=*|--ca-file=*|--api=*)
                settings+=("${words[i]%%=*}=$(_sorna_value "${words[i]#*=}")")
                ;;
        esac
    done
}

_sorna_value() {
    local value="$1"
    case "${value}" in
        \"*\"|\'*\') value="${value:1:${#value}-2}" ;;
        \~/*) value="${HOME}${value:1}" ;;
    esac
    printf '%s' "${value}"
}

_sorna_with_sessions() {
    _sorna "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" word takes=""
    [[ "${cur}" == -* ]] && return 0
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${word}" in
            logs|attach|ls|download|interrupt|keep-alive|rename|events|info|restart|destroy|upload)
                takes=yes
                ;;
        esac
    done
    case "${prev}" in
        -t|--client-token)
            COMPREPLY=()
            takes=yes
            ;;
        --force|--verbose|--json|--quiet)
            ;;
        --*)
            return 0
            ;;
    esac
    [[ -n "${takes}" ]] || return 0
    local -a settings
    _sorna_settings
    local names
    names="$(sorna ps -q ${cur:+--ids} "${settings[@]}" 2>/dev/null)" || return 0
    local reply
    for reply in $(compgen -W "${names}" -- "${cur}"); do
        COMPREPLY+=("${reply}")
    done
}
"#;

const ZSH: &str = r#"
(( $+functions[_sorna_sessions] )) ||
_sorna_sessions() {
    local -a settings names
    local word option=""
    for word in "${(@Q)line_words[1,line_current-1]}"; do
        if [[ -n "$option" ]]; then
            settings+=("$option=$word")
            option=""
            continue
        fi
        case "$word" in
            --endpoint|--profile|--config|--ca-file|--api) option="$word" ;;
            --endpoint=*|--profile=*|--config=*|--ca-file=*|--api=*) settings+=("$word") ;;
        esac
    done
    [[ -n "$PREFIX" ]] && settings+=(--ids)
    names=(${(f)"$(sorna ps -q $settings 2>/dev/null)"})
    compadd -a names
}
"#;

/// In fish, conditions beside the generated ones.
const FISH: &str = r#"
function __fish_sorna_sessions
    set -l settings
    set -l option
    for word in (commandline -opc)
        if test -n "$option"
            set -a settings "$option=$word"
            set option
            continue
        end
        switch $word
            case --endpoint --profile --config --ca-file --api
                set option $word
            case '--endpoint=*' '--profile=*' '--config=*' '--ca-file=*' '--api=*'
                set -a settings $word
        end
    end
    test -n (commandline -ct | string collect); and set -a settings --ids
    sorna ps -q $settings 2>/dev/null
end
for command in logs ls download interrupt keep-alive rename events info restart destroy upload
    complete -c sorna -n "__fish_sorna_using_subcommand $command" -f -a "(__fish_sorna_sessions)"
end
for command in run shell upload complete
    complete -c sorna -n "__fish_sorna_using_subcommand $command" -s t -l client-token -x -a "(__fish_sorna_sessions)"
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
            // Below, the words before the subcommand are cut off.
            let functions = lines.join("\n").replacen(
                "    local ret=1\n",
                "    local ret=1 line_current=$CURRENT\n    local -a line_words=(\"${words[@]}\")\n",
                1,
            );
            format!("{functions}\n{ZSH}{registration}")
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
