# The inside of a bash kernel, sourced by the one-line loop that runs one snippet after another
# (one line, so that the snippets' lines are numbered from 1).
#
# Sourced with the control channel as standard input and the path of the input FIFO as $1. The
# gateway sends the snippet behind its length; back goes a line `<letter> <length>` and that many
# bytes: `d` with the exit status, and `+` once at the start. Output goes through the pipes.
#
# Up to a delimiter, a shell reads byte by byte; so there is none. It counts what it reads as its
# locale has it, in characters or bytes, so the length is there in both, as eight hexadecimal digits
# each.
#
# Descriptor 61 is the FIFO once more: whoever waits for input there wants it hidden.

exec 62<&0 0<"$1" 61<&0
set --

# `read -s` hides what is typed; the gateway sees that by the descriptor. A prompt is shown
# although no terminal is there.
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
            t | u) __sorna_other=1 ;;
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

# Its own length tells how this shell counts, whatever the program does to the locale.
__sorna_two=é

builtin printf '+ 0\n' >&62
