# The runner of a bash kernel. It is sourced by the loop that runs one snippet after another, which
# is a single line so that the snippets' lines are numbered from 1.
#
# Sourced with the control channel as standard input and the path of the input FIFO as $1. The
# gateway sends the length of the snippet and the snippet. The runner sends `<letter> <length>`, a
# line end, and that many bytes: `+` once at the start, and `d` with the exit status after each
# snippet but the last one, after which the shell ends. Output goes through the pipes.
#
# A shell reads byte by byte when it looks for a delimiter, so a length comes first. Depending on
# the locale the shell counts characters or bytes, so both lengths are sent, as eight hexadecimal
# digits each. The first of these digits is 8 for the last snippet.
#
# Descriptor 61 is a second one for the FIFO: a program that waits there wants its input hidden.

exec 62<&0 0<"$1" 61<&0
set --

# `read -s` hides what is typed, which the gateway recognizes by the descriptor. The prompt is shown
# even though there is no terminal.
read() {
    local __sorna_argument __sorna_flags __sorna_rest __sorna_letter __sorna_value
    local __sorna_hidden= __sorna_prompt= __sorna_next= __sorna_other=
    for __sorna_argument in "$@"; do
        if [[ $__sorna_next ]]; then
            [[ $__sorna_next == p ]] && __sorna_prompt=$__sorna_argument
            __sorna_next=
            continue
        fi
        [[ $__sorna_argument == -?* && $__sorna_argument != -- ]] || break
        # Flags, then perhaps one option with its value: -rsp "Password: ", -n1.
        __sorna_rest=${__sorna_argument#-}
        __sorna_flags=${__sorna_rest%%[adinNptu]*}
        __sorna_rest=${__sorna_rest#"$__sorna_flags"}
        __sorna_letter=${__sorna_rest:0:1}
        __sorna_value=${__sorna_rest:1}
        [[ $__sorna_flags == *s* ]] && __sorna_hidden=1
        case $__sorna_letter in
            p) __sorna_prompt=$__sorna_value ;;
            u) __sorna_other=1 ;;
        esac
        [[ $__sorna_letter && -z $__sorna_value ]] && __sorna_next=$__sorna_letter
    done
    if [[ -z $__sorna_other && /dev/fd/0 -ef /dev/fd/61 ]]; then
        [[ $__sorna_prompt ]] && builtin printf %s "$__sorna_prompt" >&2
        if [[ $__sorna_hidden ]]; then
            builtin read -u 61 "$@"
            return
        fi
    fi
    builtin read "$@"
}

# Its length shows whether the shell counts characters or bytes, whatever locale the program sets.
__sorna_two=é

# Reports how a snippet ended. A trace that the snippet began is not to show this.
__sorna_report='case $- in *x*) set +x; __sorna_trace=1 ;; *) __sorna_trace= ;; esac
builtin printf "d %d\n%s" "${#__sorna_status}" "$__sorna_status"'

# Ctrl-C, as a terminal sends it. It breaks out of all loops, that of the runner too, which then starts anew. Functions
# and sourced files are left by what is meant for debuggers: a trap before each command, whose status 2 makes the shell
# return from them, and whose status 1 skips the command.
__sorna_leave() {
    builtin return 2
}
trap 'builtin printf "Interrupted\n" >&2
if [[ -z $__sorna_stopped ]]; then
    __sorna_debugger=$(builtin trap -p DEBUG; builtin shopt -p extdebug; builtin shopt -po functrace)
fi
__sorna_stopped=1
if [[ ${FUNCNAME[0]} ]]; then
    builtin shopt -s extdebug
    builtin set -T
    builtin trap "if [[ \${FUNCNAME[0]} ]]; then __sorna_leave; else builtin trap - DEBUG; ! builtin break 1000; fi" DEBUG
else
    builtin break 1000
fi' INT

builtin printf '+ 0\n' >&62
