# Lets programs in files show what snippets show. Python imports this when a program of a batch starts in a
# python3 kernel, since the environment names its directory. It takes that back at once, so neither the
# program nor what it starts finds it there, and the machine's own `sitecustomize` runs as ever.
#
# It must work in any release of Python, so what it does is in a module that only later ones load.
import os
import sys

_directory = os.path.dirname(os.path.abspath(__file__))
_rest = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
_link = os.environ.pop("SORNA_KERNEL_LINK", "")
if _directory in _rest:
    _rest.remove(_directory)
    if _rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(_rest)
if _link and sys.version_info >= (3, 8):
    try:
        import sorna_files

        sorna_files.adopt(_link)
    except Exception:
        # The program then runs without it.
        pass
sys.path[:] = [place for place in sys.path if place != _directory]
# The names in this module last as long as it does.
_self = sys.modules.pop("sitecustomize", None)
sys.modules.pop("sorna_files", None)
sys.path_importer_cache.pop(_directory, None)
# If there is none, this raises what Python expects then.
import sitecustomize
