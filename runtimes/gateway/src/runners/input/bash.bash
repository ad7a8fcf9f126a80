# Adapts `read` for bash programs in files: prompts are shown even though there is no terminal, and what is typed for
# `read -s` is hidden: a process that has descriptor 61 open for its input wants that.
if [[ /dev/fd/0 -ef $SORNA_KERNEL_STDIN ]]; then
    read() {
        case " $*" in
            *" -"*[ps]*) ;;
            *) builtin read "$@"; return ;;
        esac
        [[ /dev/fd/0 -ef $SORNA_KERNEL_STDIN ]] || { builtin read "$@"; return; }
        local __sorna_argument __sorna_flags __sorna_rest __sorna_letter __sorna_value
        local __sorna_hidden= __sorna_prompt= __sorna_next= __sorna_other=
        for __sorna_argument in "$@"; do
            if [[ $__sorna_next ]]; then
                [[ $__sorna_next == p ]] && __sorna_prompt=$__sorna_argument
                [[ $__sorna_next == u && $__sorna_argument != 0 ]] && __sorna_other=1
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
                u) [[ $__sorna_value && $__sorna_value != 0 ]] && __sorna_other=1 ;;
            esac
            [[ $__sorna_letter && -z $__sorna_value ]] && __sorna_next=$__sorna_letter
        done
        if [[ -z $__sorna_other ]]; then
            [[ $__sorna_prompt ]] && builtin printf %s "$__sorna_prompt" >&2
            if [[ $__sorna_hidden ]]; then
                builtin read "$@" 61<&0
                return
            fi
        fi
        builtin read "$@"
    }
fi
