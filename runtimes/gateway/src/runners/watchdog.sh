# Cleans up after a gateway that was killed. Standard input ends when the gateway is gone; a gateway
# that stops normally writes `done` first. $1: the mark of its processes, $2: its directory, $3: its
# control group, if it has one.
trap '' HUP INT QUIT TERM
read -r word && [ "$word" = done ] && exit 0
[ "$3" ] && echo 1 >"$3/cgroup.kill"
for pass in 1 2 3 4 5 6 7 8 9 10; do
    found=
    for process in /proc/[0-9]*; do
        if grep -qas "SORNA_KERNEL_MARK=$1" "$process/environ" ||
            case $(readlink "$process/cwd" 2>/dev/null) in "$2"/*) ;; *) false ;; esac; then
            kill -KILL "${process#/proc/}" 2>/dev/null && found=1
        fi
    done
    [ "$found" ] || break
done
chmod -R u+rwx -- "$2" 2>/dev/null
rm -rf -- "$2"
if [ "$3" ]; then
    for pass in 1 2 3 4 5 6 7 8 9 10; do
        rmdir "$3"/*/ "$3" 2>/dev/null
        [ -d "$3" ] || break
        sleep 0.1
    done
fi
