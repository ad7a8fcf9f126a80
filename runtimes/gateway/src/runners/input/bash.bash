# Adapts `read` for bash: prompts are shown even though there is no terminal, unless the input has the sticky bit, and what is typed for `read -s` is hidden: a
# process that has descriptor 60 open for its input wants that.
#
# Only code that may ask for either of them gets this function in place of the builtin. Errors of `read` are to name the
# line of the program: an index that is evaluated says which it is.
#
# Sourced by shells that run files, and by the runner of snippets.
# Its name is no alias of the program's.
__sorna_read='function read {
    case " $*" in
        *" -"*[ps]*) ;;
        *) builtin read ${__sorna_[LINENO=BASH_LINENO[0],1]-} "$@"; return ;;
    esac
    [[ /dev/fd/0 -ef $SORNA_KERNEL_STDIN ]] || { builtin read ${__sorna_[LINENO=BASH_LINENO[0],1]-} "$@"; return; }
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
        [[ $__sorna_prompt && ! -k /dev/fd/0 ]] && builtin printf %s "$__sorna_prompt" >&2
        if [[ $__sorna_hidden ]]; then
            builtin read ${__sorna_[LINENO=BASH_LINENO[0],1]-} "$@" 60<&0
            return
        fi
    fi
    builtin read ${__sorna_[LINENO=BASH_LINENO[0],1]-} "$@"
}'

# Code that may ask for it, itself or in what it includes.
__sorna_reads='@(*read+([[:space:]\\])*([!;|&<
])-*([[:alpha:]])[ps]*|*read+([[:space:]])?([\"'\''])\$*|*@(.|source|eval)[[:space:]]*)'

# In a file, the function is defined by its first command, from where errors have the name of the file.
if [[ -z ${__sorna_two-} ]]; then
    __sorna_code=
    if [[ /dev/fd/0 -ef $SORNA_KERNEL_STDIN ]]; then
        __sorna_code=${BASH_EXECUTION_STRING-}
        [[ $__sorna_code || ! -f $0 || ! -r $0 ]] || builtin mapfile -d '' -t -n 1 __sorna_code <"$0"
    fi
    if [[ $__sorna_code == $__sorna_reads ]]; then
        builtin unset -v __sorna_code __sorna_reads
        builtin set -T
        # The last command here, since it takes effect at once.
        builtin trap 'builtin trap - DEBUG
            builtin set +T
            builtin eval "$__sorna_read"
            builtin unset -v __sorna_read' DEBUG
    else
        builtin unset -v __sorna_code __sorna_reads __sorna_read
    fi
fi
