"""Snippets of python3 kernels that await at their top level.

They all run in one event loop. Tasks that outlive a snippet go on while a later one awaits, and are
cancelled when the interpreter ends, as `asyncio.run` does.
"""

import asyncio

_loop = None
# As in the runner.
_COROUTINE = 0x80


def run(coroutine):
    """Runs the coroutine of a snippet to its end, and returns its value.

    An interrupt is raised where the program is. If that is in the loop, which waits, the snippet is
    cancelled, and can clean up.
    """
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    # `asyncio.run` of another snippet may have set another one.
    asyncio.set_event_loop(_loop)
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
            _loop.run_until_complete(task)
        except asyncio.CancelledError as cancelled:
            # This one tells where the snippet was.
            raise error.with_traceback(cancelled.__traceback__) from None
        raise error


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
