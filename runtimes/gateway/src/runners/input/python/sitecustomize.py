# Adapts `getpass` for programs in files: what is typed for it is hidden by the client, and there is no terminal to say so.
# Python imports this when it starts, since the environment names its directory. It takes that back at once, so that
# neither the program nor what it starts finds it, and the next `sitecustomize` is imported as ever.
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


def _asks():
    # Whether the client is asked for the standard input.
    try:
        return os.path.samestat(os.stat(_stdin), os.fstat(0))
    except OSError:
        return False


def _adopt(getpass):
    original = getpass.getpass

    def ask(prompt="Password: ", stream=None, **others):
        # Descriptor 61 tells the gateway to hide what is typed.
        if not _asks() or sys.stdin is None or sys.stdin is not sys.__stdin__:
            return original(prompt, stream, **others)
        stream = stream or sys.stderr
        stream.write(prompt)
        stream.flush()
        os.dup2(0, 61, False)
        try:
            line = sys.stdin.readline()
        finally:
            os.close(61)
        if not line:
            raise EOFError
        return line[:-1] if line[-1] == "\n" else line

    ask.__name__ = ask.__qualname__ = "getpass"
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
