//! Which names tracebacks, warnings and backtraces show: only those of the program.

use crate::compare::compare;
use crate::row::{Row, row};

const ROWS: &[Row] = &[
    row("python3", "import traceback\ndef f(): print([frame.filename for frame in traceback.extract_stack()]); print(len(list(traceback.walk_stack(__import__('sys')._getframe()))))\nf()"),
    row("python3", "import inspect\ndef f(): print([(frame.filename, frame.function) for frame in inspect.stack()])\nf()"),
    row("python3", "import warnings; warnings.warn('from here'); warnings.warn('from beyond', stacklevel=9); warnings.warn('old', DeprecationWarning, stacklevel=2)").stderr_lines(&["PROGRAM:1:", "sys:1:"]),
    row("python3", "import asyncio; asyncio.create_task(asyncio.sleep(1))").stderr_lines(&["sys:1:", "RuntimeError"]),
    row("python3", "import logging; logging.warning('x', stack_info=True)").stderr_lines(&["WARNING", "Stack", "  File"]),
    row("python3", "import sys, traceback\ntry: 1 / 0\nexcept ZeroDivisionError:\n    try: {}['x']\n    except KeyError: print([line for line in traceback.format_exc().splitlines() if line.startswith('  File')])"),
    row("python3", "def f(): return\nreturn 5").stderr_lines(&["  File", "SyntaxError"]),
    row("python3", "f = (").stderr_lines(&["  File", "SyntaxError"]),
    row("python3", "import sys\nsys.excepthook = lambda kind, error, trace: print(trace.tb_frame.f_code.co_filename, trace.tb_next)\n1 / 0"),
    row("python3", "class E(Exception): pass\ndef f():\n    try: raise E('a')\n    except E as e: raise ValueError('b') from e\nf()").stderr_lines(&["  File", "E", "ValueError", "The above"]),
    row("python3", "import contextlib, io, warnings\nwith warnings.catch_warnings(record=True) as caught:\n    warnings.simplefilter('always'); warnings.warn('w', stacklevel=4); warnings.warn('v')\nprint([(w.filename, w.lineno) for w in caught])"),
];

#[test]
fn python3_shows_names_as_at_home() {
    compare(ROWS, "python3");
}
