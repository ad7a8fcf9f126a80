"""The text of values in notebooks, as IPython has it: of long collections the beginning, and each element on a line of its own where
they do not fit into one. `_repr_pretty_` comes before `__repr__`.
"""

from itertools import islice

# The most elements of a collection that are shown.
_MOST = 1000
_WIDTH = 79
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
        return printer.layout()
    except RecursionError:
        return repr(value)


class Printer:
    """What `_repr_pretty_` is given: that of IPython as far as such methods use it."""

    max_width = _WIDTH
    max_seq_length = _MOST

    def __init__(self):
        self.root = Group()
        self.groups = [self.root]
        self.indentation = 0
        self.within = set()

    def text(self, text):
        self.add(text, len(text))

    def breakable(self, sep=" "):
        self.add(Break(sep, self.indentation), len(sep))

    def break_(self):
        for group in self.groups:
            group.is_broken = True
        self.add(Break("", self.indentation), 0)

    def add(self, part, width):
        for group in self.groups:
            group.width += width
        self.groups[-1].parts.append(part)

    def flush(self):
        pass

    def begin_group(self, indent=0, open=""):
        group = Group()
        self.groups[-1].parts.append(group)
        self.groups.append(group)
        if open:
            self.text(open)
        self.indentation += indent

    def end_group(self, dedent=0, close=""):
        self.indentation -= dedent
        if close:
            self.text(close)
        if len(self.groups) > 1:
            self.groups.pop()

    def group(self, indent=0, open="", close=""):
        return Within(lambda: self.begin_group(indent, open), lambda: self.end_group(indent, close))

    def indent(self, indent):
        return Within(lambda: self.shift(indent), lambda: self.shift(-indent))

    def shift(self, indent):
        self.indentation += indent

    def layout(self):
        """The text: where a group fits into the rest of its line it is not broken, and else at each of its places."""
        text = []
        column = 0
        # What is still to be written, from its end on, and whether it is in a group that fits.
        rest = [(self.root, False)]
        while rest:
            part, fits = rest.pop()
            if type(part) is Group:
                fits = fits or not part.is_broken and column + part.width <= _WIDTH
                rest.extend((it, fits) for it in reversed(part.parts))
            elif type(part) is not Break:
                text.append(part)
                column += len(part)
            elif fits:
                text.append(part.sep)
                column += len(part.sep)
            else:
                text.append("\n" + " " * part.indentation)
                column = part.indentation
        return "".join(text)

    def pretty(self, value):
        kind = type(value)
        method = _method(kind)
        ends = None if method else next((it for it in _ENDS if it[0] is kind), None)
        if method is None and (ends is None or not value):
            self.lines(repr(value))
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

    def lines(self, text):
        for number, line in enumerate(text.splitlines()):
            if number:
                self.break_()
            self.text(line)

    def collection(self, values, is_cycle, kind, open, close):
        if is_cycle:
            self.text(open + "..." + close)
            return
        if kind is dict:
            elements = values.items()
        else:
            elements = ((value,) for value in _in_order(values, kind))
        self.begin_group(len(open), open)
        for number, element in enumerate(islice(elements, _MOST)):
            if number:
                self.text(",")
                self.breakable()
            self.pretty(element[0])
            if kind is dict:
                self.text(": ")
                self.pretty(element[1])
        if len(values) > _MOST:
            self.text(",")
            self.breakable()
            self.text("...")
        elif kind is tuple and len(values) == 1:
            self.text(",")
        self.end_group(len(open), close)


class Group:
    """What stands on one line, or is broken at each of its places."""

    def __init__(self):
        self.width = 0
        self.parts = []
        self.is_broken = False


class Break:
    """A place where a group can be broken."""

    def __init__(self, sep, indentation):
        self.sep, self.indentation = sep, indentation


class Within:
    def __init__(self, begin, end):
        self.begin, self.end = begin, end

    def __enter__(self):
        self.begin()

    def __exit__(self, *_):
        self.end()


def _in_order(values, kind):
    """The elements of a set in their order, if they have one."""
    if kind in (set, frozenset) and len(values) < _MOST:
        try:
            return sorted(values)
        except Exception:
            pass
    return values


def _method(kind):
    """The method of a class that comes before its `__repr__`."""
    for base in kind.__mro__:
        names = vars(base)
        if callable(names.get("_repr_pretty_")):
            return names["_repr_pretty_"]
        if base is not object and "__repr__" in names:
            return None
    return None
