"""What is completed can be run: words with spaces and the like, and what is closed already."""

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60


class Client:
    def __init__(self, name):
        self.manager, self.client = start_new_kernel(kernel_name="sorna-local-" + name)

    def texts(self, code):
        messages = []
        self.client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=TIMEOUT)
        return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")

    def completed(self, code):
        """The code with each of the candidates at `|`."""
        before, after = code.split("|")
        reply = self.client.complete(before + after, cursor_pos=len(before), reply=True, timeout=TIMEOUT)["content"]
        assert reply["cursor_end"] == len(before), reply
        return [before[: reply["cursor_start"]] + it + after for it in reply["matches"]]

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


bash = Client("bash")
names = ["a b.txt", "it's", '$x "y"', "a=b;c", "br{a}ce", "[x].y", "é ü", "!bang", "~t", "d e/f g", "back\\slash", "#c", "new\nline"]
quoted = " ".join("'%s'" % name.replace("'", "'\\''") for name in names)
assert bash.texts("mkdir 'd e' 'sub'; touch %s" % quoted) == ""
for typed, name in [
    ("a |", None),
    ("a\\ |", "a b.txt"),
    ("'a |", "a b.txt"),
    ("'a |'", "a b.txt"),
    ('"a |', "a b.txt"),
    ('"a |"', "a b.txt"),
    ("it|", "it's"),
    ("'it|", "it's"),
    ('"it|"', "it's"),
    ("\\$|", '$x "y"'),
    ("'$|", '$x "y"'),
    ("a=|", None),
    ("a\\=|", "a=b;c"),
    ("br|", "br{a}ce"),
    ("\\[|", "[x].y"),
    ("é|", "é ü"),
    ("\\!|", "!bang"),
    ("\\~|", "~t"),
    ("d|", "d e/"),
    ("d\\ e/|", "d e/f g"),
    ('"d e/|', "d e/f g"),
    ("~/d\\ e/|", "d e/f g"),
    ("back|", "back\\slash"),
    ('"back|', "back\\slash"),
    ("\\#|", "#c"),
    ("new|", None),
]:
    found = bash.completed("shown " + typed)
    assert len(found) == (name is not None), (typed, found)
    for code in found:
        shown = bash.texts("cd ~; shown() { printf '%%s\\n' \"$#\" \"${1#~/}\"; }; %s" % (code + '"' * (code.count('"d e/') and not code.endswith('"'))))
        assert shown == "1\n%s\n" % name, (typed, code, shown)
assert bash.completed("echo ${HOM|}") == ["echo ${HOME}"]
assert bash.completed("echo \"${HOM|") == ["echo \"${HOME}"]
assert bash.texts("printf 'echo it runs' >'a tool'; chmod +x 'a tool'") == ""
assert bash.completed("./a|") == ["./a\\ b.txt", "./a\\ tool", "./a\\=b\\;c"], bash.completed("./a|")
assert bash.texts(bash.completed("true; ./a\\ t|")[0]) == "it runs\n"
bash.end()
print("ok bash")

python = Client("python3")
python.texts("d = {'alpha': 1}\ndef f(first): pass")
for code in ("d['al|']", "d[\"al|\"]", "d['al|' ]", "d['al|", "d['al|]", "f(fir|=1)", "f(fir|", "pri|(1)"):
    found = python.completed(code)
    expected = code.replace("al|", "alpha").replace("fir|", "first").replace("pri|", "print")
    ends = {"d['al|": "']", "d['al|]": "'", "f(fir|": "="}.get(code, "")
    expected = expected[:-1] + ends + "]" if code == "d['al|]" else expected + ends
    assert found == [expected], (code, found)
python.texts("l = ['a']\nclass F:\n  def method(self): pass\nopen('some file', 'w').close()")
for code, expected in (
    ("d[|]", "d['alpha']"),
    ("d[|", "d['alpha']"),
    ("l[0].capi|", "l[0].capitalize"),
    ("F().meth|", "F().method"),
    ("x = open('some f|')", "x = open('some file')"),
):
    assert python.completed(code) == [expected], (code, python.completed(code))
python.end()
print("ok python")

r = Client("r")
assert r.completed("plot(1, xla|=3)") == ["plot(1, xlab=3)"]
assert r.completed("plot(1, xla|") == ["plot(1, xlab="]
r.texts("d <- data.frame(`a b` = 5, abc = 6, check.names = FALSE); `my var` <- 7")
assert r.completed("d$a|") == ["d$`a b`", "d$abc"], r.completed("d$a|")
assert r.texts("cat(%s)" % r.completed("d$a|")[0]) == "5"
assert r.texts("é <- 1; cat(%s)" % r.completed("2 * my|")[0]) == "14"
assert "print" in r.completed("pri|") and r.completed("library(paral|") == ["library(parallel"]
assert r.completed("readLines('no such f|") == []
r.end()
print("ok R")
