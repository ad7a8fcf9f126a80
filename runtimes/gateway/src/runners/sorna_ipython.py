"""`display` of IPython in a kernel: it shows what the kernel's own one shows."""

import functools
import sys

import sorna_kernel


def adopt(module):
    """Replaces the functions of a module of IPython by those of the kernel, as long as the program runs no IPython of its own."""
    if getattr(getattr(module, "display", None), "__module__", None) != module.__name__:
        # It has them from another one.
        return
    own_display, own_publish = module.display, module.publish_display_data

    @functools.wraps(own_display)
    def display(*objs, include=None, exclude=None, raw=False, display_id=None, **others):
        if _has_shell():
            others.update(include=include, exclude=exclude, raw=raw, display_id=display_id)
            return own_display(*objs, **others)
        how = {"include": include, "exclude": exclude, "raw": raw}
        how.update(metadata=others.get("metadata"), update=others.get("update", False))
        handle = sorna_kernel.display(*objs, display_id=display_id, **how)
        if handle is not None:
            return module.DisplayHandle(handle.display_id)

    @functools.wraps(own_publish)
    def publish_display_data(data, *arguments, **others):
        if _has_shell():
            return own_publish(data, *arguments, **others)
        # Before IPython 6, the source may come first.
        bundle, metadata, *_ = [it for it in (data, *arguments) if isinstance(it, dict)] + [{}, None]
        metadata = metadata or others.get("metadata")
        display_id = (others.get("transient") or {}).get("display_id")
        update = others.get("update", False)
        sorna_kernel.display(bundle, raw=True, metadata=metadata, display_id=display_id, update=update)

    own_clear = getattr(module, "clear_output", None)

    @functools.wraps(own_clear or sorna_kernel.clear_output)
    def clear_output(wait=False):
        if _has_shell():
            return own_clear(wait)
        sorna_kernel.clear_output(wait)

    if own_clear is not None:
        module.clear_output = clear_output
    module.display = display
    module.publish_display_data = publish_display_data


def _has_shell():
    shells = sys.modules.get("IPython.core.interactiveshell")
    return shells is not None and shells.InteractiveShell.initialized()
