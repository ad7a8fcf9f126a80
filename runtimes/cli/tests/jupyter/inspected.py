"""Help on names: what is there is looked up, and nothing of the user's is called for that."""

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60
SETTING = '''
import enum, functools, os, pathlib
calls = []
def noted(name, result=None):
    calls.append(name)
    print("noted", name)
    return result
class Kind(type):
    __hash__ = None
    def __eq__(self, other): return noted("==", True)
    def __getattribute__(self, name): return noted("of the class " + name, type.__getattribute__(self, name))
class Odd:
    """About odd ones."""
    x = 3
    __slots__ = ("s",)
    def __init__(self): self.s = "slot"
    @property
    def p(self):
        """About p."""
        noted("p")
        while True: pass
    @functools.cached_property
    def cached(self): return noted("cached")
    def __getattr__(self, name): return noted("getattr " + name)
    def __repr__(self): return noted("repr", "shown")
    @property
    def __class__(self): return noted("class", int)
    def f(self, a, b=os): "About f."
    @classmethod
    def c(cls, q): pass
    @staticmethod
    def st(q): pass
class Sub(Odd):
    def f(self, a, b=[]): pass
class Strange(metaclass=Kind):
    """About strange ones."""
class Plain: pass
class Call:
    def __call__(self, x): pass
class Color(enum.Enum):
    RED = 1
odd, strange, call, plain = Odd(), Strange(), Call(), Plain()
plain.value, plain.odd = 5, odd
def g(x: odd = odd, *, y: "int" = {1: odd}) -> None: pass
items, keys, long, huge = [odd, 1], {"a": odd}, list(range(10**6)), 10**5000
path = pathlib.Path("x")
calls.clear()
'''
# A name, what is in its help, and what is not.
NAMES = [
    ("odd", ["<__main__.Odd object at", "Type: Odd", "About odd ones."]),
    ("odd.p", ["Type: property", "About p."]),
    ("odd.cached", ["Type: cached_property"]),
    ("odd.x", ["Value: 3"]),
    ("odd.s", ["Value: 'slot'"]),
    ("odd.f", ["Signature: odd.f(a, b=<module 'os'>)", "About f."]),
    ("odd.c", ["Signature: odd.c(q)"]),
    ("odd.st", ["Signature: odd.st(q)"]),
    ("odd.missing", None),
    ("Odd.f", ["Signature: Odd.f(self, a, b=", "About f."]),
    ("Sub.f", ["Signature: Sub.f(self, a, b=[])", "About f."]),
    ("strange", ["About strange ones."]),
    ("Strange", ["Type: Kind", "About strange ones."]),
    ("plain.value", ["Value: 5"]),
    ("plain.odd.f", ["Signature: plain.odd.f(a, "]),
    ("plain.odd.p", ["Type: property"]),
    ("g", ["Signature: g(x: <__main__.Odd object at", "y: 'int' = {1: <__main__.Odd object at"]),
    ("call", ["Signature: call(x)"]),
    ("Color.RED", ["Type: Color"]),
    ("items", ["Value: [<__main__.Odd object at", ", 1]"]),
    ("keys", ["Value: {'a': <__main__.Odd object at"]),
    ("long", ["Value: [0, 1, 2", ", 99, ...]"]),
    ("huge", ["Type: int"]),
    ("path", ["Value: PosixPath('x')"]),
    ("os.path.join", ["Signature: os.path.join(", "Join two or more"]),
    ("os", ["Type: module", "os.py"]),
    ("str.upper", ["uppercase"]),
    ("dict.fromkeys", ["Create a new dictionary"]),
    ("print", ["Prints the values"]),
]

manager, client = start_new_kernel(kernel_name="sorna-local-python3")


def run(code):
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=TIMEOUT)
    assert reply["content"]["status"] == "ok", reply
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


run(SETTING)
for detail in (0, 1):
    for name, parts in NAMES:
        reply = client.inspect(name, detail_level=detail, reply=True, timeout=TIMEOUT)["content"]
        if parts is None:
            assert not reply["found"], (name, reply)
            continue
        assert reply["found"], (name, reply)
        text = reply["data"]["text/plain"]
        assert "noted" not in text.split("Source:")[0], (name, text)
        assert detail or all(part in text for part in parts), (name, text)
    assert run("print(calls)") == "[]\n", name
reply = client.inspect("Sub.f", detail_level=1, reply=True, timeout=TIMEOUT)["content"]
assert "def f(self, a, b=[]): pass" in reply["data"]["text/plain"], reply
client.stop_channels()
manager.shutdown_kernel()
