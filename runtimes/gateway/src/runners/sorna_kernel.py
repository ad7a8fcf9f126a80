"""What a program in a kernel can show besides text.

    import sorna_kernel

    sorna_kernel.display(value)                  # also a builtin: display(value)
    sorna_kernel.html("<b>bold</b>")
    sorna_kernel.media("image/png", data)
    sorna_kernel.capture_logs(level="INFO")
    sorna_kernel.figure_format("svg")            # of matplotlib's plt.show()

What is sent keeps its place among the output. A record may hold 16 MiB; more is a ValueError. All
of it works in threads. A forked process can send text only: there, `display` and logs fall back to
it, and the rest is a RuntimeError.
"""

import base64
import builtins
import json
import sys

import _sorna_runner as _runner

__all__ = ["capture_logs", "display", "figure_format", "html", "media"]

# From the richest on: a media type, and the method that gives it.
_FORMS = {
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
}
_figure_format = "png"
_log_handler = None


def display(*objects):
    """Shows each object in the richest form it has: one record each.

    The forms are, from the richest on, `_repr_svg_`, `_repr_png_`, `_repr_jpeg_`, `_repr_html_`,
    `_repr_markdown_` and `_repr_latex_`. What `_repr_mimebundle_` gives counts before the method
    for the same type; its other types come last. A figure of matplotlib is a picture. What has no
    such form is printed as its `repr`. An exception in one of these methods is shown on the
    standard error, and the next form is taken.
    """
    for value in objects:
        form = None if _runner.forked() else _form(value)
        if form is not None:
            form()
            continue
        text = _guarded(repr, value)
        if text is not None:
            print(text)


def html(fragment):
    """Sends a fragment of HTML."""
    _runner.record("html", str(fragment))


def media(media_type, data):
    """Sends a picture or the like: `media("image/png", data)`.

    `data` is bytes, or for text a str. Texts and XML (SVG) travel as text, the rest as a data URI;
    a str that is a data URI of such a type is sent as it is.
    """
    if not media_type.partition("/")[2]:
        raise ValueError("%r is no media type such as 'image/png'" % (media_type,))
    is_text = _is_text(media_type)
    if not isinstance(data, str):
        data = bytes(memoryview(data))
        if is_text:
            try:
                data = data.decode()
            except UnicodeDecodeError:
                pass
    # A text that only looks like a data URI is sent as one, not to be taken for what it is not.
    if isinstance(data, str) and is_text == data.startswith("data:"):
        data = data.encode("utf-8", "backslashreplace")
    if isinstance(data, bytes):
        data = "data:%s;base64,%s" % (media_type.replace(" ", ""), base64.b64encode(data).decode())
    _runner.record("media", [media_type, data])


def figure_format(name):
    """Chooses what matplotlib's figures are sent as: "png", the default, or "svg"."""
    global _figure_format
    if name not in ("png", "svg"):
        raise ValueError("a figure can be sent as 'png' or 'svg', not as %r" % (name,))
    _figure_format = name


def capture_logs(level="INFO", logger=None):
    """Sends what the logging module logs as records of the console, from a level on.

    `logger`, or its name, narrows it to one part of the program. Called again, it changes what was
    chosen. Returns the handler, which `logging.getLogger().removeHandler` takes away again.
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


def _form(value):
    """What sends the richest form of a value; None if it has only its `repr`."""
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and isinstance(value, figures.Figure):
        return lambda: _send_figure(value)
    if _has_odd_attributes(value):
        return None
    bundle = _call(value, "_repr_mimebundle_", include=None, exclude=None)
    bundle = dict(bundle) if hasattr(bundle, "keys") else {}
    plain = bundle.pop("text/plain", None)
    for media_type in (*_FORMS, *(other for other in bundle if other not in _FORMS)):
        data = bundle.get(media_type)
        if data is None and media_type in _FORMS:
            data = _call(value, _FORMS[media_type])
        form = None if data is None else _guarded(_as_record, media_type, data)
        if form is not None:
            return form
    return None if plain is None else lambda: print(plain)


def _as_record(media_type, data):
    """What sends data as the methods give it: a str is text, or else base64."""
    if media_type == "text/html":
        data = str(data)
        return lambda: html(data)
    is_text = _is_text(media_type) or media_type.endswith(("json", "javascript"))
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = bytes(data)
    elif not isinstance(data, str):
        data = json.dumps(data)
    elif not is_text:
        data = base64.b64decode("".join(data.split()), validate=True)
    return lambda: media(media_type, data)


def _is_text(media_type):
    kind = media_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("/xml", "+xml"))


def _has_odd_attributes(value):
    """A class has the methods of its instances, and some objects seem to have any."""
    try:
        return isinstance(value, type) or hasattr(value, "_sorna_no_such_method_")
    except Exception:
        return True


def _call(value, name, **arguments):
    """What a method of the value gives; without the metadata that may come with it."""
    method = _guarded(getattr, value, name, None)
    if method is None:
        return None
    data = _guarded(method, **arguments)
    return data[0] if isinstance(data, tuple) and data else data


def _guarded(function, *arguments, **named):
    """What a function gives; None, and the traceback on the standard error, if it fails."""
    try:
        return function(*arguments, **named)
    except NotImplementedError:
        # The way to say that an object has no such form.
        return None
    except Exception as error:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__.tb_next)
        return None


def _send_figure(figure):
    import io

    content = io.BytesIO()
    figure.savefig(content, format=_figure_format)
    media({"png": "image/png", "svg": "image/svg+xml"}[_figure_format], content.getvalue())


def _adopt(matplotlib):
    """Makes ours the backend unless somebody chose one: by MPLBACKEND, a file, or `use`."""
    parameters = getattr(matplotlib, "rcParams", {})
    # Asked like this, and only like this, it does not look for a backend.
    if not isinstance(dict.get(parameters, "backend", ""), str):
        parameters["backend"] = "module://sorna_figures"


if getattr(builtins, "display", None) is _runner.display:
    builtins.display = display
