# Adapts `getpass` for programs in files: what is typed for it is hidden by the client, and there is no terminal to say so.
# Python imports this when it starts, since the environment names its directory. It takes that back at once, so that
# the program does not find it, and the next `sitecustomize` is imported as ever. What the program starts does the same.
#
# Must work in any release of Python.
import os
import sys

_directory = os.path.dirname(os.path.abspath(__file__))
_rest = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
if _directory in _rest:
    _rest.remove(_directory)
if any(_rest):
    os.environ["PYTHONPATH"] = os.pathsep.join(_rest)
# Only what is started with the environment of this process gets it.
os.putenv("PYTHONPATH", os.pathsep.join([_directory] + _rest))


def _asks():
    # Whether the client is asked for the standard input.
    try:
        return os.path.samestat(os.stat(_stdin), os.fstat(0))
    except OSError:
        return False


# Stands for the function of the module, in its place and with its line, which programs see on the stack.
_HEAD = """def unix_getpass(prompt="Password: ", stream=None, **others):
    if not _asks() or _sys.stdin is None or _sys.stdin is not _sys.__stdin__:
        return _original(prompt, stream, **others)
    stream = stream or _sys.stderr
    input = _sys.stdin
    _hide()
    try:
"""
_LINE = "                    passwd = _raw_input(prompt, stream, input=input)"
_TAIL = """
    finally:
        _show()
    return passwd
"""


def _adopt(getpass):
    original = getpass.getpass
    try:
        with open(original.__code__.co_filename) as source:
            lines = source.read().split("\n")
    except (AttributeError, OSError, ValueError):
        lines = []
    above = lines.index(_LINE) - _HEAD.count("\n") if _LINE in lines else 0
    code = compile("\n" * above + _HEAD + _LINE + _TAIL, getpass.__file__, "exec")
    # Descriptor 61 tells the gateway to hide what is typed.
    names = {
        "__name__": "getpass",
        "_asks": _asks,
        "_hide": lambda: os.dup2(0, 61, False),
        "_original": original,
        "_raw_input": getpass._raw_input,
        "_show": lambda: os.close(61),
        "_sys": sys,
    }
    exec(code, names)
    ask = names["unix_getpass"]
    ask.__doc__ = original.__doc__
    getpass.getpass = ask


class _Finder(object):
    def find_spec(self, name, path=None, target=None):
        if name != "getpass":
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        loader = getattr(spec, "loader", None)
        load = getattr(loader, "exec_module", None)
        if load is None:
            return spec

        def load_and_adopt(module):
            load(module)
            _adopt(module)

        try:
            loader.exec_module = load_and_adopt
        except AttributeError:
            pass
        return spec


_stdin = os.environ.get("SORNA_KERNEL_STDIN", "")
if sys.version_info >= (3, 4) and _asks():
    sys.meta_path.insert(0, _Finder())
sys.path[:] = [place for place in sys.path if place != _directory]
sys.path_importer_cache.pop(_directory, None)
sys.modules.pop("sitecustomize", None)
# If there is none, this raises what Python expects then.
import sitecustomize
