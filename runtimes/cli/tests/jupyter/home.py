"""Cells run as they do at home: warnings, the last error, what is replaced or too large, and lines that are of IPython."""

import sys

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="sorna-local-python3")


def run(code):
    """The reply, what was written to each stream, and the forms that were shown."""
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=60)["content"]
    texts = {"stdout": "", "stderr": ""}
    for message in messages:
        if message["msg_type"] == "stream":
            texts[message["content"]["name"]] += message["content"]["text"]
    shown = [m["content"]["data"] for m in messages if m["msg_type"] in ("execute_result", "display_data")]
    return reply, texts["stdout"], texts["stderr"], shown


# A warning is shown by each cell that has it.
for _ in range(2):
    assert "UserWarning: again" in run("import warnings\nwarnings.warn('again')")[2]

# The last error is there for `pdb.pm()`.
run("def f():\n  local = 'there'\n  1 / 0\nf()")
out = run("import sys\nprint(sys.last_type.__name__, sys.last_value, sys.last_traceback.tb_frame.f_code.co_name)")[1]
assert out == "ZeroDivisionError division by zero <module>\n", out
out = run("import io, pdb\nsys.stdin = io.StringIO('p local\\nup\\nup\\nw\\nq\\n')\npdb.pm()\nsys.stdin = sys.__stdin__")[1]
assert "'there'" in out and "Oldest frame" in out and "python3.py" not in out, out
run("x = = 1")
out = run("print(sys.last_type.__name__, sys.last_traceback, getattr(sys, 'last_exc', sys.last_value) is sys.last_value)")[1]
assert out == "SyntaxError None True\n", out

# A value whose text cannot be made is one error.
for text in ("5", "1 / 0"):
    reply, out, err, shown = run("class A:\n  def __repr__(self): return %s\nA()" % text)
    assert (reply["status"], out, err, shown) == ("error", "", "", []), (reply, out, err, shown)
    assert reply["traceback"][0].startswith("Traceback"), reply
    assert reply["ename"] in reply["traceback"][-1] and ("__repr__" in str(reply["traceback"])), reply

# What is not displayed is said.
for code in ("%s", "display(%s)"):
    large = "class A:\n  def _repr_html_(self): return 'x' * 16_000_000\n  def _repr_latex_(self): return 'small'\n"
    reply, out, err, shown = run(large + code % "A()")
    assert err == "text/html was not displayed: it has 15.3 MiB, and all forms of a display may have 15 MiB.\n", err
    assert sorted(shown[0]) == ["text/latex", "text/plain"], shown
# Some characters take more of it than others.
reply, out, err, shown = run("display({'text/html': '\\1' * 3_000_000}, raw=True)")
assert reply["status"] == "ok" and "text/html was not displayed: it has 17.2 MiB" in err, (reply, err)

# Lines that set up what is not there are passed over, and others are said to be IPython's.
for line in ("%load_ext autoreload", "%autoreload 2", "%matplotlib inline", "%config InlineBackend.figure_format = 'svg'"):
    assert run("%s\n6 * 7" % line)[3] == [{"text/plain": "42"}], line
for code in ("a = !ls", "a = %pwd", "a, b = !ls", "!ls", "%time 1", "%%time\n1", "  %time 1"):
    reply = run(code)[0]
    assert reply["ename"] in ("SyntaxError", "IndentationError") and "are of IPython" in reply["traceback"][-1], (code, reply)
# So are commands and magics without their sign, unless the user has something of that name.
for code in ("cd x", "ls", "x = 1\nls -la", "time f()", "get_ipython().run_line_magic('time', '1')", "pip install foo", "!pip install foo"):
    reply = run(code)[0]
    assert reply["ename"] in ("NameError", "SyntaxError") and "of IPython" in reply["traceback"][-1], (code, reply)
    assert ("--venv DIR" in reply["traceback"][-1]) == ("pip" in code), reply
assert run("import time; cat = 1")[0]["status"] == "ok"
for code in ("time f()", "cat x", "def f(): return ls\nf()"):
    reply = run(code)[0]
    assert reply["status"] == "error" and "IPython" not in str(reply["traceback"]), (code, reply)
reply = run("x = 1\nx?")[0]
assert "all of a cell" in reply["traceback"][-1], reply

# Cells may be indented, or have prompts, as what is copied has.
for code in ("  y = 6\n  y * 7", "\n\n\ty = 6\n\n\tif y:\n\t\ty *= 7\n\ty", ">>> y = 6\n>>> if y:\n...     y *= 7\n...\n>>> y", "  # so\n  42"):
    assert run(code)[3] == [{"text/plain": "42"}], code
assert run("  %matplotlib inline\n  'a\\\n  b'")[3] == [{"text/plain": "'ab'"}]
assert run("s = '''\n  >>> a\n  ... b'''\ns")[3] == [{"text/plain": "'\\n  >>> a\\n  ... b'"}]
reply = run("\n    def f():\n        return 1 / 0\n    f()")[0]
where = [line.strip() for line in reply["traceback"] if "line" in line or "f()" in line or "1 / 0" in line]
assert where[0].endswith("line 4, in <module>") and where[1] == "f()" and where[2].endswith("line 3, in f") and "return 1 / 0" in where, reply
assert run("  x = 1\n y = 2")[0]["ename"] == "IndentationError"
for code, status in (("  x = 1\n  x", "complete"), (">>> x = 1", "complete"), ("  x = 1\n y", "invalid"), ("  if x:", "incomplete")):
    number = client.is_complete(code)
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != number:
        pass
    assert reply["content"]["status"] == status, (code, reply)

for code in ("x = ", "a b", "x = 5 % 2 y"):
    reply = run(code)[0]
    assert reply["ename"] == "SyntaxError" and "IPython" not in str(reply["traceback"]), (code, reply)

# Long collections are shown as in IPython, broken into lines where they do not fit into one, and so are values with `_repr_pretty_`.
for code, text in (
    ("list(range(22))", "[%s]" % ", ".join(map(str, range(22)))),
    ("list(range(23))", "[%s]" % ",\n ".join(map(str, range(23)))),
    ("list(range(1001))", "[" + ",\n ".join(map(str, range(1000))) + ",\n ...]"),
    ("{'a': (1,) * 2000, 'b': 2}", "{'a': (" + "1,\n  " * 1000 + "...),\n 'b': 2}"),
    ("dict.fromkeys(range(1001), 0)", "{" + ",\n ".join("%d: 0" % it for it in range(1000)) + ",\n ...}"),
    ("['x' * 60, ['y' * 16]]", "['%s',\n ['%s']]" % ("x" * 60, "y" * 16)),
    ("class L:\n  def __repr__(self): return 'one\\ntwo'\n[L(), {'a': L()}]", "[one\n two,\n {'a': one\n  two}]"),
    ("{3, 1, 2}", "{1, 2, 3}"),
    ("{*'banana', 1} == {1, *'nab'}", "True"),
    ("x = [1, (2,), {3: {4}}, frozenset({5}), [], (), set(), {}]\nx.append(x)\nx", "[1, (2,), {3: {4}}, frozenset({5}), [], (), set(), {}, [...]]"),
    ("y = {}\ny[1] = y\ny", "{1: {...}}"),
    # Classes, functions and exceptions as they are written.
    ("[int, KeyError]", "[int, KeyError]"),
    ("class A:\n  class B: pass\nA.B", "__main__.A.B"),
    ("def f(x, *, y=2): pass\nf", "<function __main__.f(x, *, y=2)>"),
    ("len", "<function len(obj, /)>"),
    ("KeyError('a', 1)", "KeyError('a', 1)"),
    ("class E(ValueError): pass\nE('x')", "__main__.E('x')"),
    ("class D(dict): pass\nD(a=1)", "{'a': 1}"),
    ("class D(dict):\n  def __repr__(self): return 'own'\nD(a=1)", "own"),
    ("class M(type):\n  def __eq__(self, other): return True\nclass N(metaclass=M): pass\nN", "__main__.N"),
    ("from collections import *\nCounter('aab')", "Counter({'a': 2, 'b': 1})"),
    ("[OrderedDict(), OrderedDict(a=1)]", "[OrderedDict(), OrderedDict([('a', 1)])]"),
    ("defaultdict(int, a=1)", "defaultdict(int, {'a': 1})"),
    ("deque([1], maxlen=2)", "deque([1], maxlen=2)"),
    ("import types\ntypes.SimpleNamespace(a=1, name=2, self=3)", "namespace(a=1, name=2, self=3)"),
    ("import re\nre.compile(r'\\d', re.I)", "re.compile(r'\\d', re.IGNORECASE|re.UNICODE)"),
):
    for shows in ("%s", "display(%s)"):
        before, _, last = code.rpartition("\n")
        assert run(before + "\n" + shows % last)[3] == [{"text/plain": text}], code
pretty = """class P:
  def _repr_pretty_(self, p, cycle):
    with p.group(2, 'P(', ')'):
      p.text('x,')
      p.breakable()
      p.pretty([self] if not cycle else 5)
      p.begin_group(1, '<')
      p.end_group(1, '>')
class Q(P):
  def __repr__(self): return 'Q'
"""
assert run(pretty + "P()")[3] == [{"text/plain": "P(x, [P(x, 5<>)]<>)"}]
assert run("[Q()]")[3] == [{"text/plain": "[Q]"}]
assert "RecursionError" not in str(run("deep = []\nfor _ in range(500): deep = [deep]\ndeep"))

# What is replaced of Python is so for the cells alone.
names = "print repr len str type isinstance hasattr getattr compile exec eval list dict tuple iter next map int bytes"
run("import builtins\nfor name in %r.split(): setattr(builtins, name, None)" % names)
assert run("6 * 7")[3] == [{"text/plain": "42"}]
reply, out, err, shown = run("def f():\n  1 / 0\nf()")
assert (reply["ename"], err, len(reply["traceback"]) > 3) == ("ZeroDivisionError", "", True), (reply, err)
reply = run("x = = 1")[0]
assert reply["ename"] == "SyntaxError", reply
reply = run("raise SystemExit('bye')")[0]
assert (reply["ename"], reply["evalue"]) == ("SystemExit", "bye"), reply
assert run("builtins.print is None")[3] == [{"text/plain": "True"}]
client.stop_channels()
manager.shutdown_kernel()
