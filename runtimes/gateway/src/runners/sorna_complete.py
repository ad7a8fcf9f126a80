"""Completion in a python3 kernel.

Each candidate begins with what it completes: the name before the cursor, with its dots. The only
code of the user that runs are attribute lookups, those of `a` and `b` in `a.b.c`, and what is there to
be asked: `__dir__` of the last, and `_ipython_key_completions_` of what is subscripted. Nothing is called or
imported, and only what has no code of the user's is subscripted. The lookups run in a thread, which is
abandoned after a time limit.
"""

import _thread
import builtins
import keyword
import os
import pkgutil
import re
import sys
import time
import types
from importlib.machinery import PathFinder

_PATIENCE = 2.0
_MOST = 1000
# How much of a line counts, and how much of that may be a literal.
_LINE = 1000
_LITERAL = 200
# Texts on a line.
_TEXTS = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
# A name at the end, with attributes and with subscripts that are written out.
_PLACE = r"(?<![\w.)\]}'\"])[^\W\d]\w*(?:\.[^\W\d]\w*|\[\s*(?:-?\d+|%s)\s*\])*$" % _TEXTS
# Of libraries: what is subscripted without any code of the user's.
_SUBSCRIPTED = (("numpy", "ndarray"), ("pandas", "DataFrame"), ("pandas", "Series"))
_HIDDEN = frozenset(("_sorna_runner", "sorna_complete", "sorna_figures", "sorna_ipython"))


class _TooLate(BaseException):
    pass


def find(namespace, message):
    """Returns the candidates at the cursor; none if that takes too long."""
    found = []
    done = _thread.allocate_lock()
    done.acquire()
    until = time.monotonic() + _PATIENCE

    def watch(*_):
        if time.monotonic() > until:
            raise _TooLate
        return watch

    def work():
        # Ends loops in the user's code. What sleeps there keeps sleeping, without harm.
        sys.settrace(watch)
        try:
            found.extend(_complete(namespace, message))
        except BaseException:
            # An object whose lookups fail has no candidates.
            pass
        finally:
            sys.settrace(None)
            done.release()

    _thread.start_new_thread(work, ())
    return found[:_MOST] if done.acquire(True, _PATIENCE + 0.5) else []


def _complete(namespace, message):
    code = _before_cursor(**{key: message[key] for key in ("code", "row", "col", "line", "post")})
    code, quote = _code_at_end(code)
    if code is None:
        return []
    line = code.rpartition("\n")[2][-_LINE:]
    # What is there already is not added again.
    after = message["post"].partition("\n")[0][:_LINE]
    if quote:
        keys = _keys(namespace, line, quote, after)
        return _files(line, quote) if keys is None else keys
    statement = line.rpartition(";")[2]
    imported = re.match(r"\s*from\s+([\w.]+)\s+import\s+\(?(?:[\w\s]*,)*\s*(\w*)$", statement)
    if imported:
        return _matching(_members(imported[1]), imported[2])
    module = re.match(r"\s*(?:from|import)\s+(?:[\w.\s]*,)*\s*([\w.]*)$", statement)
    if module:
        return _matching(_modules(module[1].rpartition(".")[0]), module[1])
    text = re.match(r"[\w.]*", line[::-1])[0][::-1]
    open_call = "" if re.match(r"\w*[ \t]*\(", after) else "("
    owner, dot, name = text.rpartition(".")
    if text.startswith("."):
        before = line[: -len(text)]
        kind = None if owner else _called(namespace, before)
        if kind is not None:
            return _listed(kind, type.__dir__(kind), owner, name, open_call)
        value = _literal(before)
        if value is None:
            value = _value(namespace, before)
        for part in owner.split(".")[1:]:
            value = getattr(value, part)
        return [] if value is None else _attributes(value, owner, name, open_call)
    if dot:
        # No candidates for `f().a`, which needs more than lookups.
        return _attributes(_resolve(namespace, owner), owner, name, open_call)
    keys = _keys(namespace, line, "", after)
    if keys or not text:
        return keys or []
    return _arguments(namespace, line[: -len(text)], text, after) + _names(namespace, text, open_call)


def _literal(before):
    """What a line ends with, if that is a text, a list or the like that is written out. None if not."""
    if before[-1:] not in ("'", '"', "]", "}"):
        return None
    import ast

    for start in range(max(0, len(before) - _LITERAL), len(before)):
        # Not the subscript of something, nor the end of a name.
        if re.search(r"[\w)\]}'\"]$", before[:start]):
            continue
        try:
            return ast.literal_eval(before[start:].lstrip())
        except (SyntaxError, ValueError):
            continue
    return None


def _value(namespace, before):
    """What a line ends with, if that is a name with attributes and subscripts. None if not."""
    place = re.search(_PLACE, before)
    if place is None:
        return None
    import ast

    def evaluate(node):
        if isinstance(node, ast.Name):
            return _resolve(namespace, node.id)
        value = evaluate(node.value)
        if isinstance(node, ast.Attribute):
            return getattr(value, node.attr)
        # Before Python 3.9, it is wrapped.
        at = node.slice.value if type(node.slice).__name__ == "Index" else node.slice
        return _element(value, ast.literal_eval(at))

    return evaluate(ast.parse(place[0], mode="eval").body)


def _element(value, at):
    kind = type(value)
    if kind in (dict, list, tuple, str, bytes):
        return value[at]
    for module, name in _SUBSCRIPTED:
        if kind is getattr(sys.modules.get(module), name, None):
            return value[at]
    raise TypeError("what it does is not known")


def _called(namespace, before):
    """The class that is called at the end of a line. None if it is something else."""
    before = re.sub(_TEXTS, "''", before)
    if before[-1:] != ")":
        return None
    at = _opening(before[:-1])
    name = None if at is None else re.search(r"(?<![\w.)\]}'\"])[^\W\d][\w.]*$", before[:at])
    if name is None or before[at] != "(":
        return None
    kind = _resolve(namespace, name[0])
    # What `type` makes is an object of any class.
    return kind if isinstance(kind, type) and kind is not type else None


def _opening(before):
    """The place of the bracket that is open at the end of code without texts. None if there is none."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        if before[at] in ")]}":
            depth += 1
        elif before[at] in "([{":
            if not depth:
                return at
            depth -= 1
    return None


def _arguments(namespace, before, text, after):
    """The names of arguments in the brackets of a call."""
    sign = re.match(r"\w*\s*(=?)(=?)", after)
    if sign[2]:
        # A comparison, in which they have no place.
        return []
    end = "" if sign[1] else "="
    before = re.sub(_TEXTS, "''", before)
    if before.rstrip()[-1:] not in ("(", ","):
        return []
    at = _opening(before)
    if at is None or before[at] != "(":
        return []
    name = re.search(r"[\w.]+$", before[:at])
    if name is None or keyword.iskeyword(name[0]) or re.search(r"\b(?:def|class)\s+$", before[: name.start()]):
        return []
    import inspect

    try:
        known = inspect.signature(_resolve(namespace, name[0])).parameters.values()
    except Exception:
        # Not all functions say that.
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [it.name + end for it in known if it.kind in kinds and it.name.startswith(text)]


def _before_cursor(code, row, col, line, post):
    """The code up to the cursor. Clients send it in more than one way."""
    lines = code.split("\n")
    if not line and not row and not col:
        return code[: len(code) - len(post)] if post and code.endswith(post) else code
    if not line:
        line = lines[row] if row < len(lines) else ""
    # Some clients send the whole line.
    if 0 < col < len(line):
        line = line[:col]
    return "\n".join([*lines[:row], line])


def _code_at_end(code):
    """The code in which the end stands, and the quote if a string is open there.

    In a comment there is no code; in the braces of an f-string it is what the braces hold.
    """
    at = 0
    while True:
        opened = re.compile(r"#[^\n]*|'{3}|\"{3}|['\"]").search(code, at)
        if opened is None:
            return code, ""
        quote, at = opened[0], opened.end()
        if quote[0] == "#":
            if at == len(code):
                return None, ""
            continue
        ends = quote if len(quote) == 3 else quote + r"|\n"
        for closed in re.compile(r"\\.|" + ends, re.DOTALL).finditer(code, at):
            if closed[0][0] != "\\":
                at = closed.end()
                break
        else:
            brace = code.rfind("{", at)
            prefix = code[max(0, opened.start() - 2) : opened.start()].lower()
            if prefix.endswith(("f", "fr")) and brace > code.rfind("}", at):
                return _code_at_end(code[brace + 1 :])
            return code, quote


def _keys(namespace, line, quote, after):
    """The keys of a dict or the like, in `d['` or `d[`. What closes them may follow already, as editors put it there. None if that is
    no place for keys."""
    partial = r"[^'\"\\]*" if quote else r"(?:-?\d*)"
    at = re.search(r"\[\s*" + quote + "(" + partial + ")$", line)
    if at is None or len(quote) > 1:
        return None
    try:
        keys = _known_keys(_value(namespace, line[: at.start()]))
    except Exception:
        return None
    if keys is None:
        return None
    name = re.search(r"(?<![\w.)\]}'\"])[^\W\d][\w.]*$", line[: at.start()])
    start = ("" if name is None else name[0]) + line[at.start() : at.start(1)]
    texts = [key for key in keys if type(key) is str and key.isprintable()]
    if not quote:
        found = [repr(key) for key in texts if not at[1]]
        found += [str(key) for key in keys if type(key) is int and str(key).startswith(at[1])]
        end = "" if re.match(r"\d*\s*\]", after) else "]"
        return [start + key + end for key in found]
    plain = [key for key in texts if key.startswith(at[1]) and not re.search(r"['\"\\]", key)]
    if after.startswith(quote) or re.match(r"[^'\"\\]*" + quote + r"\s*\]", after):
        end = ""
    else:
        end = quote if after.startswith("]") else quote + "]"
    return [start + key + end for key in plain]


def _known_keys(value):
    for base in type(value).__mro__:
        ask = vars(base).get("_ipython_key_completions_")
        if ask is not None:
            return list(ask(value))
    # By the methods of dict, whatever a subclass does.
    return list(dict.keys(value)) if isinstance(value, dict) else None


def _files(line, quote):
    """The files whose path begins as the text that is open at the end of a line."""
    if len(quote) > 1:
        return []
    at = re.sub(_TEXTS, lambda text: " " * len(text[0]), line).rfind(quote)
    path = line[at + 1 :]
    if at < 0 or re.search(r"['\"\\{}]", path):
        return []
    directory, slash, name = path.rpartition("/")
    found = []
    with os.scandir(os.path.expanduser(directory + slash) or ".") as files:
        for file in files:
            is_hidden = file.name.startswith(".") and not name.startswith(".")
            if file.name.startswith(name) and not is_hidden and file.name.isprintable() and not re.search(r"['\"\\]", file.name):
                found.append(directory + slash + file.name + ("/" if file.is_dir() else ""))
    return sorted(found)


def _names(namespace, text, open_call):
    """The user's names, keywords, and builtins."""
    words = [word for word in keyword.kwlist if word not in ("True", "False", "None")]
    known = {**vars(builtins), **dict.fromkeys(words), **namespace}
    names = sorted(namespace, key=str) + words + list(vars(builtins))
    return [
        name + (open_call if callable(known[name]) else "")
        for name in _matching(dict.fromkeys(names), text)
    ]


def _attributes(value, owner, text, open_call):
    return _listed(value, dir(value), owner, text, open_call)


def _listed(value, names, owner, text, open_call):
    return [
        "%s.%s%s" % (owner, name, open_call if _is_function(_stored(value, name)) else "")
        for name in _matching(sorted(names, key=str), text)
    ]


def _matching(names, text):
    """Names that begin with the text; private ones only if the text begins with `_`, too."""
    last = text.rpartition(".")[2]
    hidden = () if last.startswith("__") else "__" if last.startswith("_") else "_"
    return [
        name
        for name in names
        if isinstance(name, str)
        and name.startswith(text)
        and not name.rpartition(".")[2].startswith(hidden)
    ]


def _resolve(namespace, dotted):
    """The object that a dotted name refers to, by lookups."""
    first, *rest = dotted.split(".")
    value = namespace[first] if first in namespace else vars(builtins)[first]
    for name in rest:
        value = getattr(value, name)
    return value


def _stored(value, name):
    """An attribute as it is stored, without running a property; None if it is not stored."""
    places = [] if isinstance(value, type) else [getattr(value, "__dict__", {})]
    for kind in (value, type(value)):
        if isinstance(kind, type):
            places.extend(vars(parent) for parent in kind.__mro__)
    return next((place[name] for place in places if name in place), None)


def _is_function(stored):
    return callable(stored) or isinstance(stored, classmethod)


def _modules(package):
    """The full names of the modules in a package, or of all at the top."""
    if not package:
        names = {module.name for module in pkgutil.iter_modules()}
        names.update(sys.builtin_module_names, getattr(sys, "stdlib_module_names", ()))
        names.update(name for name in sys.modules if "." not in name)
        names.add("sorna_kernel")
        return sorted(name for name in names - _HIDDEN if name.isidentifier())
    start = package + "."
    names = {start + module.name for module in pkgutil.iter_modules(_path(package)[0])}
    # Some modules are made by their package, such as os.path.
    for name in list(sys.modules):
        if name.startswith(start):
            names.add(start + name[len(start) :].partition(".")[0])
    return sorted(names)


def _members(module):
    """The names that can be imported from a module. If it is not loaded, only its source is read."""
    names = {name.rpartition(".")[2] for name in _modules(module)}
    loaded = sys.modules.get(module)
    if loaded is not None:
        names.update(dir(loaded))
    else:
        names.update(_defined(_path(module)[1]))
    return sorted(names)


def _path(module):
    """Where a module looks for its own modules, and its spec, without importing it."""
    loaded = sys.modules.get(module)
    if isinstance(loaded, types.ModuleType):
        return list(getattr(loaded, "__path__", ())), getattr(loaded, "__spec__", None)
    path, spec, name = None, None, ""
    for part in module.split("."):
        name = name + "." + part if name else part
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return [], None
        path = list(spec.submodule_search_locations or ())
    return path, spec


def _defined(spec):
    """The names that a module's source defines at the top."""
    import ast

    read = getattr(getattr(spec, "loader", None), "get_source", None)
    source = read(spec.name) if read else None
    for node in ast.parse(source or "").body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in getattr(node, "targets", None) or [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id
