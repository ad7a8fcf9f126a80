#!/usr/bin/env bash
# `jupyter run FILE` also hands FILE to the kernel, as an argument of the command that starts it.
#
# Versions: jupyter_client 8.10.0 (PyPI), ipykernel 7.4.0, Python 3.11, installed in a temporary folder.
#
# Behavior: the command reads the file itself, and sends it as a cell. Yet whatever arguments jupyter_client does not know as its
# own options, the names of files among them, it appends to the `argv` of the kernelspec. ipykernel passes over them. A kernel
# whose command takes no further arguments ends at once with an error of usage, and all that the user reads is that the kernel has died.
# From standard input the same code runs, and so does a file that is opened in a notebook.
#
# Output seen:
#   arguments of the kernel, a file: -m ipykernel_launcher -f CONNECTION_FILE p.py
#   it printed: 42
#   arguments of the kernel, standard input: -m ipykernel_launcher -f CONNECTION_FILE
#   it printed: 42
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'jupyter_client==8.10.0' 'ipykernel==7.4.0'

# The kernel of Python, which notes with what it was started.
mkdir -p "$folder/kernels/noted"
cat > "$folder/noted" <<BASH
#!/usr/bin/env bash
printf '%s\n' "\$*" | sed 's#-f [^ ]*#-f CONNECTION_FILE#' > "$folder/arguments"
exec "$folder/venv/bin/python" "\$@"
BASH
chmod +x "$folder/noted"
cat > "$folder/kernels/noted/kernel.json" <<JSON
{"argv": ["$folder/noted", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "noted", "language": "python"}
JSON

export JUPYTER_DATA_DIR=$folder JUPYTER_RUNTIME_DIR=$folder/runtime IPYTHONDIR=$folder/ipython
cd "$folder"
echo 'print(6 * 7)' > p.py
{
    printed=$(venv/bin/jupyter-run --kernel=noted p.py 2>/dev/null)
    echo "arguments of the kernel, a file: $(cat arguments)"
    echo "it printed: $printed"
    printed=$(venv/bin/jupyter-run --kernel=noted < p.py 2>/dev/null)
    echo "arguments of the kernel, standard input: $(cat arguments)"
    echo "it printed: $printed"
} | tee seen

diff seen - <<'SEEN'
arguments of the kernel, a file: -m ipykernel_launcher -f CONNECTION_FILE p.py
it printed: 42
arguments of the kernel, standard input: -m ipykernel_launcher -f CONNECTION_FILE
it printed: 42
SEEN
echo "as described"
