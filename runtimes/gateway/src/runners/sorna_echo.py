"""The value of a snippet's last expression, as Python's own prompt and notebooks show it."""

import ast
import builtins
import sys

import _sorna_runner as _runner


def as_typed(code):
    """A cell of a notebook without what comes from where it was copied: an indent of all its lines, or prompts. Lines keep their numbers."""
    start = code.lstrip()
    has_prompts = start.startswith(">>>")
    is_indented = code[: len(code) - len(start)].rpartition("\n")[2] != ""
    if not (has_prompts or is_indented) or not _runner.in_notebook():
        return code
    import re
    import textwrap

    if has_prompts:
        code = re.sub(r"^[ \t]*(?:>>>|\.\.\.)[ \t]?", "", code, flags=re.MULTILINE)
    return textwrap.dedent(code)


def split(code, name, flags):
    """Compiles a snippet. Returns the program, and its last expression apart, if it has one to show.

    As in notebooks, a semicolon after it hides its value.
    """
    tree = None
    plain = _without_magics(code)
    if plain is not None:
        try:
            tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
        except SyntaxError:
            code = plain
    if tree is None:
        tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or _is_hidden(code, last):
        return compile(tree, name, "exec", flags, True), None
    del tree.body[-1]
    program = compile(tree, name, "exec", flags, True)
    # What the program imports from `__future__` counts for its last line, too.
    flags |= program.co_flags & _runner._FUTURE
    return program, compile(ast.Expression(last.value), name, "eval", flags, True)


def _without_magics(code):
    """The code without the lines of notebooks that set up what is here anyway, as `%matplotlib inline` does. None if it has none."""
    if "%" not in code:
        return None
    import re

    # A comment keeps the numbers of lines.
    plain, number = re.subn(r"^%(?=(?:matplotlib|config|load_ext|autoreload)\b)", "#%", code, flags=re.MULTILINE)
    return plain if number else None


def _is_hidden(code, last):
    end = getattr(last, "end_lineno", None)
    if end is None:
        return False
    # Lines as the compiler counts them, and bytes of UTF-8.
    lines = code.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rest = lines[end - 1].encode()[last.end_col_offset :]
    return rest.lstrip(b" \t\f)").startswith(b";")


def show(value):
    """Sends a value, unless the program has set a hook of its own that displays it."""
    hook = sys.displayhook
    if hook is not sys.__displayhook__:
        hook(value)
    elif value is not None:
        builtins._ = None
        _send(value)
        builtins._ = value


def _send(value):
    if _runner.forked():
        print(repr(value))
        return
    import sorna_kernel

    if sorna_kernel._shows_itself(value):
        return
    text = sorna_kernel._plain(value)
    if _is_quitter(type(value)):
        # As in IPython, it need not be called.
        send({"text/plain": text}, [sorna_kernel._ABOUT, _LEAVE])
        return
    said = {}
    forms = {"text/plain": text, **sorna_kernel._all_forms(value, said)}
    send(forms, *sorna_kernel._described(forms, said))


def send(forms, *more):
    """Sends forms of one value, by their media types, and what is said of them."""
    records = []
    size = 0
    for media_type, data in forms.items():
        if media_type == "text/plain":
            # Other forms, such as a table, are to find room, too.
            data = _cut(data, _LARGE if len(forms) == 1 else _LARGE // 3)
        own = _size(data)
        if size + own > _LARGE:
            _tell_dropped(media_type, own)
            continue
        size += own
        records.append([media_type, data])
    if forms and not records:
        return
    _runner.record("value", *records, *more)


# That the user wants to leave, for consoles of notebooks.
_LEAVE = '{"leave": true}'


def _is_quitter(kind):
    """Whether it is the type of `exit` and `quit`."""
    site = sys.modules.get("_sitebuiltins")
    return kind is getattr(site, "Quitter", False)


def tell_leaving(error):
    """Says that the user's own code has called `exit()` or `quit()`, if that has ended the snippet."""
    calls = []
    trace = error.__traceback__
    while trace is not None:
        calls.append(trace.tb_frame)
        trace = trace.tb_next
    if len(calls) < 2 or calls[-2].f_globals is not sys.modules["__main__"].__dict__:
        return
    if _is_quitter(type(calls[-1].f_locals.get("self"))) and not _runner.forked():
        import sorna_kernel

        send({}, [sorna_kernel._ABOUT, _LEAVE])


def tell(error, text=None):
    """Says which exception has ended the snippet, for notebooks: what was printed of it may be anything. `text` is its traceback, if
    that was not printed."""
    if _runner.forked():
        return
    import sorna_kernel

    value = error
    if isinstance(error, SystemExit):
        value = error.code
    elif isinstance(error, SyntaxError):
        value = error.msg
    try:
        value = str(value)
    except Exception:
        value = "<exception str() failed>"
    said = {"name": type(error).__name__, "value": _cut(value, _LARGE // 4)}
    if text is not None:
        said["traceback"] = _cut(text, _LARGE // 2)
    send({}, [sorna_kernel._ABOUT, _runner.dumps({"error": said})])


_MIB = 1024 * 1024
# The most that the forms of a value may have, in bytes: a record has room for a little more.
_LARGE = 15 * _MIB
# How many characters are shown of text for which there is no room.
_LONG = _MIB


def _cut(text, room=_LARGE):
    left_out = len(text) - _LONG
    if left_out <= 0 or _size(text) <= room:
        return text
    half = _LONG // 2
    return "%s\n... %d characters are left out here ...\n%s" % (text[:half], left_out, text[-half:])



def _size(data):
    """How large data is in a record: at most six bytes for each character."""
    if len(data) < _MIB // 16:
        return len(data)
    return len(_runner.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))


def _tell_dropped(media_type, size):
    text = "%s was not displayed: it has %.1f MiB, and all forms of a display may have %d MiB."
    sys.stderr.write(text % (media_type, size / _MIB, _LARGE // _MIB) + "\n")


def show_figures():
    """Shows the figures of matplotlib that the snippet has left open, as notebooks do."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = sys.modules.get("sorna_figures")
    if pyplot is not None and figures is not None and pyplot.get_fignums():
        if pyplot.get_backend().lower() == "module://sorna_figures":
            figures.show()
