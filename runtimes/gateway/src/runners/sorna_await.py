"""Snippets of python3 kernels that await at their top level.

They all run in one event loop. Tasks that outlive a snippet go on between snippets and while a later one awaits, and are
cancelled when the interpreter ends, as `asyncio.run` does.
"""

import asyncio
import functools

import _sorna_runner as _runner

_loop = None
# As in the runner.
_COROUTINE = 0x80
# Whether it runs between snippets.
_is_between = False


def _open():
    """The loop, which is there from now on."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    # `asyncio.run` of another snippet may have set another one.
    asyncio.set_event_loop(_loop)
    return _loop


def _adopt():
    """Lets cells of notebooks create tasks without awaiting anything themselves, as there is a loop that goes on between them."""
    original = asyncio.create_task

    @functools.wraps(original)
    def create_task(coro, **how):
        if asyncio._get_running_loop() is None and _runner.runs_cell():
            return _open().create_task(coro, **how)
        return original(coro, **how)

    asyncio.create_task = asyncio.tasks.create_task = create_task

    # What asks for the loop in a cell that awaits nothing, such as a session of a client, runs in it later. `asyncio.run` still works.
    running, current = asyncio.get_running_loop, asyncio.current_task

    @functools.wraps(running)
    def get_running_loop():
        if asyncio._get_running_loop() is None and _runner.runs_cell():
            return _open()
        return running()

    @functools.wraps(current)
    def current_task(loop=None):
        if loop is None and asyncio._get_running_loop() is None and _runner.runs_cell():
            return None
        return current(loop)

    asyncio.get_running_loop = asyncio.events.get_running_loop = get_running_loop
    asyncio.current_task = asyncio.tasks.current_task = current_task
    if _runner.runs_cell():
        # For `asyncio.ensure_future` and `asyncio.get_event_loop`.
        _open()


def run(coroutine):
    """Runs the coroutine of a snippet to its end, and returns its value.

    An interrupt is raised where the program is. If that is in the loop, which waits, the snippet is
    cancelled, and can clean up.
    """
    _open()
    task = _loop.create_task(coroutine)
    try:
        return _loop.run_until_complete(task)
    except BaseException as error:
        if task.done():
            if not task.cancelled():
                # It is not to be reported again as one that no one has seen.
                task.exception()
            raise
        task.cancel()
        try:
            # It may handle that, and go on.
            return _loop.run_until_complete(task)
        except asyncio.CancelledError as cancelled:
            # This one tells where the snippet was.
            raise error.with_traceback(cancelled.__traceback__) from None


def go_on(fd):
    """Runs the loop until there is something to read, if it is to look for that, or it is woken. Returns whether there is
    one. May be interrupted and called again."""
    global _is_between
    loop = _loop
    if loop is None or loop.is_closed() or loop.is_running():
        return False
    try:
        _is_between = True
        asyncio.set_event_loop(loop)
        if fd is not None:
            loop.add_reader(fd, _stop)
        loop.run_forever()
    finally:
        _is_between = False
        if fd is not None and not loop.is_closed():
            loop.remove_reader(fd)
    return True


def wake():
    """Has the loop stop that runs between snippets. Any thread may call this."""
    loop = _loop
    if loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(_stop)


def _stop():
    if _is_between and _loop is not None:
        _loop.stop()


async def both(program, last, names):
    """Runs a program, and then an expression, of which at least one awaits. Returns its value."""
    for code in (program, last):
        value = eval(code, names)
        if code.co_flags & _COROUTINE:
            value = await value
    return value


def end():
    """Ends the loop."""
    global _loop
    loop, _loop = _loop, None
    if loop is None or loop.is_closed() or loop.is_running():
        return
    asyncio.set_event_loop(loop)
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        for task in tasks:
            if not task.cancelled() and task.exception() is not None:
                loop.call_exception_handler(
                    {
                        "message": "unhandled exception when the interpreter ended",
                        "exception": task.exception(),
                        "task": task,
                    }
                )
        loop.run_until_complete(loop.shutdown_asyncgens())
        if hasattr(loop, "shutdown_default_executor"):
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


_adopt()
