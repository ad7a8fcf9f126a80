"""The text of values in notebooks, as IPython has it: of long collections the beginning, and `_repr_pretty_` comes before `__repr__`."""

from itertools import islice

# The most elements of a collection that are shown.
_MOST = 1000
_ENDS = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "frozenset({", "})"),
    (dict, "{", "}"),
)


def text(value):
    printer = Printer()
    try:
        printer.pretty(value)
    except RecursionError:
        return repr(value)
    return "".join(printer.parts)


class Printer:
    """What `_repr_pretty_` is given: that of IPython as far as such methods use it. It does not break lines by itself."""

    max_width = 79
    max_seq_length = _MOST

    def __init__(self):
        self.parts = []
        self.within = set()

    def text(self, text):
        self.parts.append(text)

    def breakable(self, sep=" "):
        self.text(sep)

    def break_(self):
        self.text("\n")

    def flush(self):
        pass

    def begin_group(self, indent=0, open=""):
        self.text(open)

    def end_group(self, dedent=0, close=""):
        self.text(close)

    def group(self, indent=0, open="", close=""):
        return Group(self, open, close)

    def indent(self, indent):
        return Group(self, "", "")

    def pretty(self, value):
        kind = type(value)
        method = _method(kind)
        ends = None if method else next((it for it in _ENDS if it[0] is kind), None)
        if method is None and (ends is None or not value):
            self.text(repr(value))
            return
        is_cycle = id(value) in self.within
        self.within.add(id(value))
        try:
            if method is not None:
                method(value, self, is_cycle)
            else:
                self.collection(value, is_cycle, *ends)
        finally:
            if not is_cycle:
                self.within.discard(id(value))

    def collection(self, values, is_cycle, kind, open, close):
        self.text(open)
        if is_cycle:
            self.text("...")
        else:
            pairs = values.items() if kind is dict else ((value,) for value in values)
            for number, pair in enumerate(islice(pairs, _MOST)):
                if number:
                    self.text(", ")
                self.pretty(pair[0])
                if kind is dict:
                    self.text(": ")
                    self.pretty(pair[1])
            if len(values) > _MOST:
                self.text(", ...")
            elif kind is tuple and len(values) == 1:
                self.text(",")
        self.text(close)


class Group:
    def __init__(self, printer, open, close):
        self.printer, self.open, self.close = printer, open, close

    def __enter__(self):
        self.printer.text(self.open)

    def __exit__(self, *_):
        self.printer.text(self.close)


def _method(kind):
    """The method of a class that comes before its `__repr__`."""
    for base in kind.__mro__:
        names = vars(base)
        if callable(names.get("_repr_pretty_")):
            return names["_repr_pretty_"]
        if base is not object and "__repr__" in names:
            return None
    return None
