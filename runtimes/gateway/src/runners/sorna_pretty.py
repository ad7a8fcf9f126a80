"""The text of values in notebooks, as IPython has it: of long collections the beginning, and each element on a line of its own where
they do not fit into one; classes, functions and exceptions by how they are written. `_repr_pretty_` comes before `__repr__`, as do the
texts that are made here, for subclasses as well unless they have a `__repr__` of their own.
"""

import sys
import types
from itertools import islice

# The most elements of a collection that are shown.
_MOST = 1000
_WIDTH = 79
_ENDS = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}


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
        printer = _printer(type(value))
        if printer is _as_repr:
            self.lines(repr(value))
            return
        is_cycle = id(value) in self.within
        self.within.add(id(value))
        try:
            printer(value, self, is_cycle)
        finally:
            if not is_cycle:
                self.within.discard(id(value))

    def lines(self, text):
        for number, line in enumerate(text.splitlines()):
            if number:
                self.break_()
            self.text(line)

    def collection(self, kind, values, is_cycle):
        """A list or the like, or one of a subclass of this kind, whatever that does."""
        open, close = _ENDS[kind]
        if is_cycle:
            self.text(open + "..." + close)
            return
        if kind in (set, frozenset):
            if not kind.__len__(values):
                self.text(type(values).__name__ + "()")
                return
            elements = _in_order(kind.__iter__(values), kind.__len__(values))
        else:
            elements = kind.__iter__(values)
        self.begin_group(len(open), open)
        self.elements(elements, self.pretty if kind is not dict else lambda key: self.entry(key, dict.get(values, key)))
        if kind is tuple and len(values) == 1:
            self.text(",")
        self.end_group(len(open), close)

    def entry(self, key, value):
        self.pretty(key)
        self.text(": ")
        self.pretty(value)

    def elements(self, elements, show):
        for number, element in enumerate(islice(elements, _MOST + 1)):
            if number:
                self.text(",")
                self.breakable()
            if number == _MOST:
                self.text("...")
            else:
                show(element)

    def mapping(self, values, is_cycle, open, close):
        if is_cycle:
            self.text("{...}")
            return
        self.begin_group(len(open), open)
        self.elements(values.keys(), lambda key: self.entry(key, values[key]))
        self.end_group(len(open), close)

    def call(self, name, values, named):
        """What makes an object, as a call."""
        open = name + "("
        self.begin_group(len(open), open)
        shown = [("", value) for value in values] + [(name + "=", value) for name, value in list(named.items())]
        for number, (name, value) in enumerate(shown):
            if number:
                self.text(",")
                self.breakable()
            self.begin_group(len(name), name)
            self.pretty(value)
            self.end_group(len(name))
        self.end_group(len(open), ")")


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


def _in_order(values, count):
    """The elements of a set in their order, if they have one."""
    if count >= _MOST:
        return values
    values = list(values)
    for how in ({}, {"key": str}):
        try:
            return sorted(values, **how)
        except Exception:
            pass
    return values


class Raw:
    """A text that is shown as it is."""

    def __init__(self, text):
        self.raw = text

    def __repr__(self):
        return self.raw


def _as_repr(value, printer, is_cycle):
    printer.lines(repr(value))


def _of_kind(kind):
    return lambda value, printer, is_cycle: printer.collection(kind, value, is_cycle)


def _class(value, printer, is_cycle):
    printer.text(_full_name(value))


def _full_name(kind):
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return name if not isinstance(module, str) or module == "builtins" else module + "." + name


def _function(value, printer, is_cycle):
    name = value.__qualname__
    module = value.__module__
    if module and module != "builtins":
        name = "%s.%s" % (module, name)
    try:
        import inspect

        name += str(inspect.signature(value))
    except Exception:
        # Not all functions say that.
        pass
    printer.text("<function %s>" % name)


def _exception(value, printer, is_cycle):
    if is_cycle:
        printer.text(_full_name(type(value)) + "(...)")
    else:
        printer.call(_full_name(type(value)), BaseException.args.__get__(value), {})


def _namespace(value, printer, is_cycle):
    if is_cycle:
        printer.call("namespace", [Raw("...")], {})
    else:
        printer.call("namespace", [], vars(value))


def _pattern(value, printer, is_cycle):
    names = ("IGNORECASE", "LOCALE", "MULTILINE", "DOTALL", "UNICODE", "VERBOSE", "DEBUG")
    re = sys.modules["re"]
    flags = "|".join("re." + name for name in names if value.flags & getattr(re, name))
    text = Raw("r" + repr(value.pattern).replace("\\\\", "\\"))
    printer.call("re.compile", [text, Raw(flags)] if value.flags else [text], {})


def _super(value, printer, is_cycle):
    printer.begin_group(8, "<super: ")
    printer.pretty(value.__thisclass__)
    printer.text(",")
    printer.breakable()
    printer.pretty(value.__self__)
    printer.end_group(8, ">")


def _proxy(value, printer, is_cycle):
    printer.mapping(value, is_cycle, "mappingproxy({", "})")


def _environment(value, printer, is_cycle):
    printer.mapping(value, is_cycle, "environ{", "}")


def _called(parts):
    """For what a call makes of what these are."""

    def show(value, printer, is_cycle):
        values, named = ([Raw("...")], {}) if is_cycle else parts(value)
        printer.call(type(value).__name__, values, named)

    return show


_PRINTERS = {
    **{kind: _of_kind(kind) for kind in _ENDS},
    type: _class,
    super: _super,
    types.FunctionType: _function,
    types.BuiltinFunctionType: _function,
    types.SimpleNamespace: _namespace,
    types.MappingProxyType: _proxy,
    BaseException: _exception,
}
# Of modules that need not be loaded.
_NAMED = {
    ("collections", "Counter"): _called(lambda it: ([dict(it.most_common())] if it else [], {})),
    ("collections", "OrderedDict"): _called(lambda it: ([list(it.items())] if it else [], {})),
    ("collections", "UserList"): _called(lambda it: ([it.data], {})),
    ("collections", "defaultdict"): _called(lambda it: ([it.default_factory, dict(it)], {})),
    ("collections", "deque"): _called(lambda it: ([list(it)], {} if it.maxlen is None else {"maxlen": it.maxlen})),
    ("os", "_Environ"): _environment,
    ("re", "Pattern"): _pattern,
}


# Classes may be equal to anything, and have no hash.
_BY_ID = {id(kind): printer for kind, printer in _PRINTERS.items()}


def _printer(kind):
    """What shows values of a class: its method that comes before its `__repr__`, or what is known of a class that it is derived from."""
    for base in kind.__mro__:
        module = type.__dict__["__module__"].__get__(base)
        found = _BY_ID.get(id(base)) or type(module) is str and _NAMED.get((module, base.__name__))
        if found:
            return found
        names = vars(base)
        if callable(names.get("_repr_pretty_")):
            return names["_repr_pretty_"]
        if base is not object and "__repr__" in names:
            return _as_repr
    return _default


def _default(value, printer, is_cycle):
    printer.begin_group(1, "<")
    printer.pretty(type(value))
    printer.text(" at 0x%x" % id(value))
    printer.end_group(1, ">")
