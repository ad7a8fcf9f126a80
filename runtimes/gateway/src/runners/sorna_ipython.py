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


def adopt_capture(module):
    """Has `capture_output` capture what the kernel displays."""
    kind = module.capture_output
    own_enter, own_exit = kind.__enter__, kind.__exit__

    @functools.wraps(own_enter)
    def enter(self):
        wants = self.display and not _has_shell()
        captured = own_enter(self)
        if wants:
            captured._outputs = self._sorna_outputs = []
            sorna_kernel._captured.append(captured._outputs)
        return captured

    @functools.wraps(own_exit)
    def exit(self, *error):
        outputs = self.__dict__.pop("_sorna_outputs", None)
        sorna_kernel._captured[:] = [it for it in sorna_kernel._captured if it is not outputs]
        return own_exit(self, *error)

    kind.__enter__, kind.__exit__ = enter, exit


def adopt_shell(module):
    """Lets a shell that a library makes only to configure it leave the program its own `__main__`."""
    kind = module.InteractiveShell
    own = kind.init_sys_modules

    @functools.wraps(own)
    def init_sys_modules(self):
        if type(self) is not kind:
            own(self)

    kind.init_sys_modules = init_sys_modules


def adopt_inline(module):
    """Has `set_matplotlib_formats` set the format of the kernel's figures."""
    own = module.set_matplotlib_formats

    @functools.wraps(own)
    def set_matplotlib_formats(*formats, **how):
        names = [it for it in formats if it in sorna_kernel._FIGURES]
        if _has_shell() or not names:
            return own(*formats, **how)
        sorna_kernel.figure_format(names[0])

    module.set_matplotlib_formats = set_matplotlib_formats


def _has_shell():
    """Whether the program runs a shell of IPython on its terminal. One that a library has made only to configure it shows nothing."""
    shells = sys.modules.get("IPython.terminal.interactiveshell")
    shell = sys.modules.get("IPython.core.interactiveshell")
    if shells is None or shell is None or not shell.InteractiveShell.initialized():
        return False
    return isinstance(shell.InteractiveShell._instance, shells.TerminalInteractiveShell)
