"""Output other than text, for programs in a kernel.

    import sorna_kernel

    sorna_kernel.display(value)                  # also a builtin: display(value)
    sorna_kernel.update_display(value, display_id="x")  # also a builtin
    sorna_kernel.clear_output(wait=True)         # in notebooks
    sorna_kernel.html("<b>bold</b>")
    sorna_kernel.media("image/png", data)
    sorna_kernel.capture_logs(level="INFO")
    sorna_kernel.figure_format("svg")            # of matplotlib's plt.show()

Records keep their place among the output. A record may hold 16 MiB; a larger one raises a
ValueError. All functions work in threads. A forked process can send text only: there, `display` and
logs fall back to text, and the other functions raise a RuntimeError.
"""

import base64
import builtins
import json
import sys

import _sorna_runner as _runner

__all__ = [
    "DisplayHandle",
    "StdinNotImplementedError",
    "capture_logs",
    "clear_output",
    "display",
    "figure_format",
    "html",
    "media",
    "update_display",
]

# From the richest on: a media type, and the method that returns it.
_FORMS = {
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "application/json": "_repr_json_",
    "application/javascript": "_repr_javascript_",
    "application/pdf": "_repr_pdf_",
}
# The names of the format of figures, its media type, and how much larger than usual they are drawn.
_FIGURES = {
    "png": ("png", "image/png", 1),
    "retina": ("png", "image/png", 2),
    "png2x": ("png", "image/png", 2),
    "svg": ("svg", "image/svg+xml", 1),
}
_figure_format = "png"
_log_handler = None


# The media type of what is said of forms that are a display, and not the value of an expression.
_ABOUT = "application/vnd.sorna.display+json"
# Added to the media type of forms that are JSON, whatever that type is.
_AS_JSON = "; form=json"
# That of what is said of the forms themselves.
_METADATA = "application/vnd.sorna.metadata+json"


def display(
    *objects,
    include=None,
    exclude=None,
    metadata=None,
    raw=False,
    display_id=None,
    update=False,
    **_
):
    """Shows each object in the richest form it has, or in all that it has where they are wanted, as in notebooks: one record each.

    The forms are, from the richest on, `_repr_svg_`, `_repr_png_`, `_repr_jpeg_`, `_repr_html_`,
    `_repr_markdown_`, `_repr_latex_`, `_repr_json_`, `_repr_javascript_` and `_repr_pdf_`. What `_repr_mimebundle_` returns takes precedence over the
    method for the same type; its other types come last. A figure of matplotlib is sent as a
    picture. An object without such a form is printed as its `repr`. One that has `_ipython_display_` shows
    itself by that. `include` and `exclude` are media types: only these, or all others; with `raw`, the
    objects are such bundles themselves. `metadata` says more of the forms, as what their methods return after their data does: for each
    media type, a dict. With `display_id`, a name or True, the result is a handle whose `update(object)` changes
    what was shown, in notebooks; elsewhere that is shown as well. Other arguments of IPython's `display` have no effect. An
    exception in one of these methods is shown on stderr, and the next form is used.
    """
    handle = DisplayHandle(display_id) if display_id else None
    for value in objects:
        if raw:
            value = _Raw(value)
        elif not _runner.forked() and _shows_itself(value):
            continue
        if _runner.echoes():
            _send_display(value, include, exclude, metadata, handle, update)
            continue
        form = None if _runner.forked() else _form(value, include, exclude)
        if form is not None:
            form()
            continue
        text = _guarded(_plain, value)
        if text is not None:
            print(text)
    return handle


class StdinNotImplementedError(NotImplementedError):
    """The program has asked for input where no one can be asked, as in notebooks that run by themselves."""


class DisplayHandle:
    """Something that was shown, and may change."""

    def __init__(self, display_id=True):
        if display_id is True:
            import os

            display_id = os.urandom(16).hex()
        self.display_id = display_id

    def display(self, value, **how):
        display(value, display_id=self.display_id, **how)

    def update(self, value, **how):
        display(value, display_id=self.display_id, update=True, **how)

    def __repr__(self):
        return "<DisplayHandle display_id=%s>" % self.display_id


def update_display(value, *, display_id, **how):
    """Changes what was shown by this name, in notebooks; elsewhere the object is shown as well."""
    display(value, display_id=display_id, update=True, **how)


def _send_display(value, include, exclude, metadata, handle, update):
    """Sends all forms of a value."""
    import sorna_echo

    forms = {}
    said = {}
    is_raw = type(value) is _Raw
    text = None if is_raw else _guarded(_plain, value)
    if text is not None:
        forms["text/plain"] = text
    forms.update(_all_forms(value, said))
    said.update(metadata or {})
    for form in list(forms):
        media_type = form.partition(_AS_JSON)[0]
        if include and media_type not in include or exclude and media_type in exclude:
            del forms[form]
    about = {}
    if handle is not None:
        about = {"id": handle.display_id, "update": bool(update)}
    if is_raw:
        # Nothing is to be added to it.
        about["raw"] = True
    if _captured:
        _captured[-1].append(_as_captured(forms, said, about))
    elif forms:
        sorna_echo.send(forms, *_described(forms, said), [_ABOUT, _runner.dumps(about)])


def _described(forms, said):
    """What is said of forms, as another one of them; nothing in most cases."""
    # What is not of a media type is said of all.
    sent = {form.partition(_AS_JSON)[0] for form in forms}
    said = {name: it for name, it in said.items() if "/" not in name or name in sent and it}
    text = _guarded(_dumped, said) if said else None
    return [] if text is None else [[_METADATA, text]]


# Where displays go instead, the last one first: see `sorna_ipython`.
_captured = []


def _as_captured(forms, said, about):
    """A display as IPython keeps it."""
    data = {}
    for form, content in forms.items():
        media_type, is_json, _ = form.partition(_AS_JSON)
        if content.startswith("data:") and not _is_text(media_type):
            content = content.partition(";base64,")[2]
        elif is_json or media_type.endswith("json"):
            content = json.loads(content)
        data[media_type] = content
    transient = {"display_id": about["id"]} if "id" in about else {}
    return {"data": data, "metadata": said, "transient": transient, "update": about.get("update", False)}


def clear_output(wait=False):
    """Clears what the snippet has shown, in notebooks; with `wait`, as soon as there is something else to show.

    On a terminal that clears the line, as `clear_output` of IPython does, and elsewhere nothing.
    """
    if _runner.echoes() and not _runner.forked():
        import sorna_echo

        sorna_echo.send({}, [_ABOUT, _runner.dumps({"clear": "later" if wait else "now"})])


def html(fragment):
    """Sends a fragment of HTML."""
    _runner.record("html", str(fragment))


def media(media_type, data):
    """Sends a picture or other media: `media("image/png", data)`.

    `data` is bytes, or a str for text. Text and XML (SVG) are sent as text, the rest as a data URI;
    a str that already is a data URI of such a type is sent unchanged.
    """
    _runner.record("media", [media_type, _encoded(media_type, data)])


def _encoded(media_type, data):
    if not media_type.partition("/")[2]:
        raise ValueError("%r is not a media type such as 'image/png'" % (media_type,))
    is_text = _is_text(media_type)
    if not isinstance(data, str):
        data = bytes(memoryview(data))
        if is_text:
            try:
                data = data.decode()
            except UnicodeDecodeError:
                pass
    # Text that looks like a data URI is encoded as one, or clients would decode it.
    if isinstance(data, str) and is_text == data.startswith("data:"):
        data = data.encode("utf-8", "backslashreplace")
    if isinstance(data, bytes):
        data = "data:%s;base64,%s" % (media_type.replace(" ", ""), base64.b64encode(data).decode())
    return data


def figure_format(name):
    """Sets the format in which matplotlib's figures are sent: "png", the default, "svg", or "retina", a PNG with twice as many
    pixels each way."""
    global _figure_format
    if name not in _FIGURES:
        raise ValueError("a figure can be sent as 'png', 'retina' or 'svg', not as %r" % (name,))
    _figure_format = name


def capture_logs(level="INFO", logger=None):
    """Sends messages of the logging module, from a level on, as console records.

    `logger`, or its name, narrows it to one part of the program. Another call replaces the first.
    Returns the handler, which `logging.getLogger().removeHandler` removes.
    """
    global _log_handler
    import logging

    class Handler(logging.Handler):
        def emit(self, entry):
            try:
                _log(entry, self.format(entry))
            except Exception:
                self.handleError(entry)

    if not isinstance(logger, logging.Logger):
        logger = logging.getLogger(logger)
    handler = Handler(level)
    if _log_handler is not None:
        old_logger, old_handler = _log_handler
        old_logger.removeHandler(old_handler)
    _log_handler = logger, handler
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > handler.level:
        logger.setLevel(handler.level)
    return handler


def _log(entry, message):
    from datetime import datetime

    if _runner.forked():
        print("%s:%s:%s" % (entry.levelname, entry.name, message), file=sys.stderr)
        return
    time = datetime.fromtimestamp(entry.created).astimezone().isoformat(timespec="milliseconds")
    _runner.record("log", [entry.levelname, time, entry.name, message])


class _Raw:
    """What has the forms of a bundle, and no others."""

    def __init__(self, bundle):
        self._bundle = dict(bundle)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self._bundle

    def __repr__(self):
        return str(self._bundle.get("text/plain", ""))


def _shows_itself(value):
    """Whether a value has shown itself, as IPython lets it."""
    if _has_odd_attributes(value):
        return False
    method = _guarded(getattr, value, "_ipython_display_", None)
    if method is None:
        return False
    try:
        method()
    except NotImplementedError:
        return False
    except Exception as error:
        _show_error(error)
        return False
    return True


def _plain(value):
    """The `repr` of a value, or what IPython has in place of that."""
    if "IPython" in sys.modules and hasattr(type(value), "_repr_pretty_"):
        from IPython.lib.pretty import pretty

        return pretty(value)
    if _runner.in_notebook():
        import sorna_pretty

        return sorna_pretty.text(value)
    return repr(value)


def _form(value, include=None, exclude=None):
    """Returns a function that sends the richest form of a value; None if it has only its `repr`."""
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and isinstance(value, figures.Figure):
        return lambda: media(*_drawn(value, {}))
    bundle = _bundle(value, {})
    plain = bundle.pop("text/plain", None)
    for media_type, data in _rich_forms(value, bundle, {}):
        if include and media_type not in include or exclude and media_type in exclude:
            continue
        if media_type == "text/html":
            return lambda: html(data)
        return lambda: media(media_type, data)
    return None if plain is None else lambda: print(plain)


def _all_forms(value, said):
    """All forms of a value but its `repr`: for each media type its content, as records have it. Notes what is said of them."""
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and isinstance(value, figures.Figure):
        if _runner.in_notebook() and not value.axes and not value.lines:
            return {}
        media_type, data = _drawn(value, said)
        return {media_type: _encoded(media_type, data)}
    bundle = _bundle(value, said)
    plain = bundle.pop("text/plain", None)
    forms = {} if plain is None else {"text/plain": str(plain)}
    if _runner.in_notebook():
        for media_type in [it for it in bundle if _is_as_it_is(it, bundle[it])]:
            content = _guarded(_dumped, bundle.pop(media_type))
            if content is not None:
                forms[media_type + _AS_JSON] = content
    for media_type, data in _rich_forms(value, bundle, said):
        content = data if media_type == "text/html" else _guarded(_encoded, media_type, data)
        if content is not None:
            forms[media_type] = content
    return forms


def _bundle(value, said):
    if _has_odd_attributes(value):
        return {}
    bundle, metadata = _call(value, "_repr_mimebundle_", include=None, exclude=None)
    if hasattr(metadata, "keys"):
        said.update(metadata)
    return dict(bundle) if hasattr(bundle, "keys") else {}


def _rich_forms(value, bundle, said):
    """The media types and data that a value has, from the richest on. Notes what is said of them."""
    is_odd = _has_odd_attributes(value)
    for media_type in (*_FORMS, *(other for other in bundle if other not in _FORMS)):
        data = bundle.get(media_type)
        if data is None and media_type in _FORMS and not is_odd:
            data, metadata = _call(value, _FORMS[media_type])
            if hasattr(metadata, "keys"):
                said[media_type] = dict(metadata)
        data = None if data is None else _guarded(_prepared, media_type, data)
        if data is not None:
            yield media_type, data


def _is_as_it_is(media_type, data):
    """Whether a notebook gets a form as it is in its bundle, text or an object: it is no form that is known as text or Base64."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return isinstance(data, str)
    if kind.startswith(("image/", "audio/", "video/")) or _is_text(kind) or kind in _FORMS:
        return False
    return not isinstance(data, (bytes, bytearray, memoryview))


def _prepared(media_type, data):
    """Data as methods return it: a str is text, or else base64."""
    if media_type == "text/html":
        return str(data)
    is_text = _is_text(media_type) or media_type.endswith(("json", "javascript"))
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = bytes(data)
    elif not isinstance(data, str):
        data = _dumped(data)
    elif not is_text:
        data = base64.b64decode("".join(data.split()), validate=True)
    return data


def _dumped(data):
    """JSON of data, which has no NaN and no infinities: in their place there is null, as in browsers."""
    try:
        return _runner.dumps(data, allow_nan=False)
    except ValueError:
        # Or it refers to itself, and this fails as well.
        return _runner.dumps(json.loads(_runner.dumps(data), parse_constant=lambda _: None))


def _is_text(media_type):
    kind = media_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("/xml", "+xml"))


def _has_odd_attributes(value):
    """Whether looking up methods misleads: on a class, or on an object that seems to have any."""
    try:
        return isinstance(value, type) or hasattr(value, "_sorna_no_such_method_")
    except Exception:
        return True


def _call(value, name, **arguments):
    """Calls a method of the value. Returns its data, and the metadata that may come with them."""
    method = _guarded(getattr, value, name, None)
    if method is None:
        return None, None
    data = _guarded(method, **arguments)
    if isinstance(data, tuple) and data:
        return data[0], data[1] if len(data) > 1 else None
    return data, None


def _guarded(function, *arguments, **named):
    """Calls a function; None, and the traceback on stderr, if it fails."""
    try:
        return function(*arguments, **named)
    except NotImplementedError:
        # This is how an object says that it has no such form.
        return None
    except Exception as error:
        _show_error(error)
        return None


def _show_error(error):
    """Shows the traceback without the frame that has caught the exception."""
    import traceback

    with _runner.Restored():
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)


def _send_figure(figure):
    if _runner.echoes():
        _send_display(figure, None, None, None, None, False)
    else:
        media(*_drawn(figure, {}))


def _drawn(figure, said):
    """The picture of a figure. Notes what is said of it."""
    import io

    name, media_type, scale = _FIGURES[_figure_format]
    how = {"format": name}
    if _runner.in_notebook():
        # As in other notebooks, with what lies outside of the axes.
        how["bbox_inches"] = "tight"
    if scale != 1:
        how["dpi"] = figure.dpi * scale
    content = io.BytesIO()
    figure.savefig(content, **how)
    content = content.getvalue()
    if scale != 1:
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        said[media_type] = {"width": width // scale, "height": height // scale}
    return media_type, content


def _adopt(matplotlib):
    """Sets the kernel's backend unless the user chose one by MPLBACKEND, a file, or `use`."""
    parameters = getattr(matplotlib, "rcParams", {})
    # Only a lookup by `dict.get` does not make matplotlib choose a backend.
    if not isinstance(dict.get(parameters, "backend", ""), str):
        parameters["backend"] = "module://sorna_figures"


if getattr(builtins, "display", None) is _runner.display:
    builtins.display = display
if getattr(builtins, "update_display", None) is _runner.update_display:
    builtins.update_display = update_display
