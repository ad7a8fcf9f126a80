"""Hides the runner of python3 kernels from `traceback` and `inspect`, and helps these to find sources.

A traceback is that of the program: it neither begins with frames of the runner nor ends with those
of its functions, such as its `getpass`.
"""

import os
import re
import sys
from linecache import cache

_DIRECTORY = os.path.dirname(__file__) + "/"


def adopt_traceback(traceback):
    for name in ("walk_tb", "_walk_tb_with_full_positions"):
        if hasattr(traceback, name):
            _replace(traceback, name, _without_own)
    _replace(traceback, "walk_stack", _without_own_callers)


def adopt_inspect(inspect):
    for name in ("getouterframes", "getinnerframes"):
        _replace(inspect, name, _without_own_records)
    _replace(inspect, "getfile", _with_classes)


def _replace(module, name, make):
    original = getattr(module, name)
    function = make(original)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = original.__doc__
    function.__module__ = original.__module__
    function.__wrapped__ = original
    setattr(module, name, function)


def _is_own(frame):
    return frame.f_code.co_filename.startswith(_DIRECTORY)


def _without_own(walk):
    def walk_others(tb):
        for step in walk(tb):
            frame = step[0]
            if not _is_own(frame):
                yield step

    return walk_others


def _without_own_callers(walk):
    def walk_others(f):
        if f is None:
            # The original counts its callers, of which there is now one more.
            f = sys._getframe(1)
            while f is not None and f.f_globals.get("__name__") == "traceback":
                f = f.f_back
        for step in walk(f) if f is not None else ():
            if not _is_own(step[0]):
                yield step

    return walk_others


def _without_own_records(get):
    def get_others(*arguments, **named):
        return [record for record in get(*arguments, **named) if not _is_own(record[0])]

    return get_others


def _with_classes(getfile):
    def get(object):
        if isinstance(object, type) and object.__module__ == "__main__":
            if not getattr(sys.modules.get("__main__"), "__file__", None):
                name = _snippet_of(object)
                if name is not None:
                    return name
        return getfile(object)

    return get


def _snippet_of(kind):
    """The snippet that defines a class: that of its methods, or the last one in which there is such a class."""
    for name, value in vars(kind).items():
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        code = getattr(function, "__code__", None)
        # Not a function that was defined elsewhere.
        if getattr(function, "__qualname__", None) == "%s.%s" % (kind.__qualname__, name):
            if code is not None and _is_snippet(code.co_filename):
                return code.co_filename
    definition = re.compile(r"^[ \t]*class[ \t]+%s\b" % re.escape(kind.__name__), re.MULTILINE)
    for name in reversed([name for name in cache if _is_snippet(name)]):
        if definition.search("".join(cache[name][2])):
            return name
    return None


def _is_snippet(name):
    return name.startswith("<input-") and name in cache
