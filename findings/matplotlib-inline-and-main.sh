#!/usr/bin/env bash
# To set the format of matplotlib's figures in a plain Python program replaces the program's `__main__`.
#
# Versions: matplotlib-inline 0.2.2, IPython 9.18.1 and matplotlib 3.11.2 (PyPI), Python 3.11, installed in a temporary folder.
#
# Behavior: `matplotlib_inline.backend_inline.set_matplotlib_formats` asks IPython for its shell, and makes one where none runs. To make
# a shell puts an empty module in the place of `__main__` in `sys.modules`. The program goes on in its old module, so objects of its classes
# cannot be pickled any more, which `multiprocessing` and caches need. `sys.ps1` is set as well, by which libraries tell that
# someone is at a prompt, and `get_ipython()` returns a shell. To import the module, or to set the backend alone, changes nothing.
#
# Output seen:
#   before: __main__ is the program: True, a class can be pickled: True, sys.ps1 is set: False, a shell: False
#   after:  __main__ is the program: False, a class can be pickled: False, sys.ps1 is set: True, a shell: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    'matplotlib-inline==0.2.2' 'ipython==9.18.1' 'matplotlib==3.11.2'

cat > "$folder/program.py" <<'PYTHON'
import pickle
import sys

import IPython
import matplotlib.pyplot
from matplotlib_inline.backend_inline import set_matplotlib_formats

program = sys.modules["__main__"]


class Point:
    pass


def can_be_pickled():
    try:
        pickle.dumps(Point())
        return True
    except pickle.PicklingError:
        return False


def show(when):
    print(
        "%-7s __main__ is the program: %s, a class can be pickled: %s, sys.ps1 is set: %s, a shell: %s"
        % (when, sys.modules["__main__"] is program, can_be_pickled(), hasattr(sys, "ps1"), IPython.get_ipython() is not None)
    )


show("before:")
set_matplotlib_formats("svg")
show("after:")
PYTHON

export IPYTHONDIR=$folder/ipython MPLCONFIGDIR=$folder/matplotlib MPLBACKEND=agg
cd "$folder"
venv/bin/python program.py | tee seen

diff seen - <<'SEEN'
before: __main__ is the program: True, a class can be pickled: True, sys.ps1 is set: False, a shell: False
after:  __main__ is the program: False, a class can be pickled: False, sys.ps1 is set: True, a shell: True
SEEN
echo "as described"
