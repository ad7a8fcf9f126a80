"""Starts the runner of a python3 kernel, from what the gateway has of it as bytecode, if that is for this interpreter.

To compile the runner takes longer than the interpreter needs to start, and leaves it larger by 2.5 MiB. The second argument, if there
is one, says that the gateway can use what has to be compiled here: `runner`, or `all` for the modules beside it as well. It
is sent before anything of a client runs in this kernel: a message `b` with the name of a file on a line, and the content.
"""

import _frozen_importlib_external
import sys


class _Loader(_frozen_importlib_external.SourceFileLoader):
    has_compiled = False

    def source_to_code(self, data, path, **options):
        self.has_compiled = True
        return super().source_to_code(data, path, **options)

    def _cache_bytecode(self, source_path, bytecode_path, data):
        """No kernel writes what others run."""


def _load():
    global __file__, _HAS_COMPILED
    directory = __file__[: __file__.rindex("/")]
    __file__ = directory + "/python3.py"
    loader = _Loader("__main__", __file__)
    try:
        code = loader.get_code("__main__")
    except Exception:
        # A file that was damaged.
        code = loader.source_to_code(loader.get_data(__file__), __file__)
    _HAS_COMPILED = loader.has_compiled
    if _HAS_COMPILED and len(sys.argv) > 2:
        try:
            _send(directory, code, sys.argv[2] == "all")
        except Exception:
            # Kernels that come later compile it again.
            pass
    return code


def _send(directory, runner, sends_all):
    import importlib.util
    import marshal
    import os

    names = ["python3.py"]
    if sends_all:
        beside = set(os.listdir(directory)).difference(names, ["sorna_start.py"])
        names += sorted(name for name in beside if name.endswith(".py"))
    messages = []
    for name in names:
        file = directory + "/" + name
        with open(file, "rb") as source:
            data = source.read()
        code = runner if name == "python3.py" else compile(data, file, "exec", dont_inherit=True)
        # Of a file that is checked by the hash of its source: it is written anew for each gateway.
        head = importlib.util.MAGIC_NUMBER + (3).to_bytes(4, "little") + importlib.util.source_hash(data)
        cached = os.path.basename(importlib.util.cache_from_source(file))
        content = cached.encode() + b"\n" + head + marshal.dumps(code)
        messages.append(b"b %d\n%s" % (len(content), content))
    rest = memoryview(b"".join(messages))
    while rest:
        rest = rest[os.write(0, rest) :]


exec(_load())
