# The runner of a bash kernel. It is evaluated, so that messages do not name its file, by the loop that runs one snippet
# after another, which is a single line so that the snippets' lines are numbered from 1.
#
# Evaluated with the control channel as standard input and the path of the input FIFO as $2. The
# gateway sends the length of the snippet and the snippet. The runner sends `<letter> <length>`, a
# line end, and that many bytes: `+` once at the start, and `d` with the exit status after each
# snippet but the last one, after which the shell ends. Output goes through the pipes.
#
# A shell reads byte by byte when it looks for a delimiter, so a length comes first. Depending on
# the locale the shell counts characters or bytes, so both lengths are sent, as eleven digits each,
# which need not be calculated with. The digit before each of them is the sum of 8 for the last
# snippet, 4 for one that may read input, and 2 for a question of the client, which is no program: it may write to the channel,
# and its status is not that of a program.
#
# Most of the time of a short snippet goes into the runner, and most of that into redirections, and
# into what is parsed or compared with patterns. So each turn has one redirection of everything that
# the program is not to see: the report of a snippet and the wait for the next one.

exec 62<&0 0<"$2"
set --

# Its length shows whether the shell counts characters or bytes, whatever locale the program sets.
__sorna_two=é

# Adapts `read` for prompts and passwords, in code that matches this pattern.
. "$SORNA_KERNEL_INPUT/bash.bash"

# What this shell starts adapts its input, too.
builtin export BASH_ENV=$SORNA_CHILDREN_BASH_ENV
builtin unset -v SORNA_CHILDREN_BASH_ENV

# Aliases are expanded as at a prompt, unless the program does not want that, in all snippets but the last one, which may be a program
# as it is. Questions of the client are not to see them.

# What ends a trace, to begin it again in the next snippet.
__sorna_untrace='case $- in *x*) set +x; __sorna_trace=1 ;; *) __sorna_trace= ;; esac'

# Reports how a snippet ended, as the loop does. A trace that the snippet began is not to show this, nor is a trap before each
# command to say anything of it, or to say it to the gateway. The end of a line at the end makes it a single write.
__sorna_idle=1 __sorna_begun= __sorna_stopped= __sorna_last= __sorna_done=$'d 4\n' __sorna_pad=$'   \n'
__sorna_report='__sorna_idle=1
builtin eval "$__sorna_untrace"
builtin printf %s "$__sorna_done$__sorna_status${__sorna_pad:${#__sorna_status}}" >&62'

# A snippet that is not left by `break` or `continue` gets to the definition of a function behind it. Unlike a command, that
# is neither traced nor trapped, and its redirection, which is none, notes the status.
__sorna_same=(2)

# What says that a snippet was left by a `break` or `continue` in no loop of its own: it has left that of the runner around
# it, which has one turn, and maybe that of all snippets, which starts anew. For the last snippet there is none, and the shell says so itself.
__sorna_left='builtin printf "%s: break, continue: only meaningful in a loop; the rest of the snippet was not run\n" "$0" >&63
__sorna_status=1'

# Ctrl-C, as a terminal sends it. It ends the shell if the snippet is the last one. Else it breaks out of all loops, that of the
# runner too, which then starts anew. Functions and sourced files are left by what is meant for debuggers: a trap before each
# command, whose status 2 makes the shell return from them, and whose status 1 skips the command. One that comes when a snippet
# has ended is not for the next one.
__sorna_leave() {
    builtin return 2
}
trap 'if [[ ! $__sorna_idle ]]; then
    builtin printf "Interrupted\n" >&2
    [[ $__sorna_last == final ]] && builtin exit 130
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
    fi
fi' INT

builtin printf '+ 0\n' >&62
