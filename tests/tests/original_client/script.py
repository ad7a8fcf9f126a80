"""Drives a gateway by the original Python client (sorna-client 0.9.8).

SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY say which. Each check prints a line; a failure
ends the script with a traceback.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import aiohttp
from sorna.asyncio.kernel import AsyncKernel
from sorna.exceptions import SornaAPIError
from sorna.kernel import Kernel
from sorna.request import Request

# The original's async API opens sessions by a plain `with`, which aiohttp has given up since.
aiohttp.ClientSession.__enter__ = lambda self: self
aiohttp.ClientSession.__exit__ = lambda self, *_: asyncio.ensure_future(self.close())

C_FILES = {
    'main.c': '#include <stdio.h>\n#include "mylib.h"\n'
              'int main(void) { printf("myvalue is %d\\n", myvalue()); }\n',
    'mylib.c': '#include "mylib.h"\nint myvalue(void) { return 42; }\n',
    'mylib.h': 'int myvalue(void);\n',
}


def passed(name):
    print('ok', name, flush=True)


def finish(kernel, code, mode='query', opts=None, answers=()):
    """Executes to the end, like the original's command line."""
    answers = list(answers)
    statuses, console = [], []
    while True:
        result = kernel.execute(code, mode=mode, opts=opts)
        statuses.append(result['status'])
        console.extend(result['console'])
        if result['status'] == 'finished':
            return statuses, console
        code = answers.pop(0) if result['status'] == 'waiting-input' else ''


def text(console, stream='stdout'):
    return ''.join(value for kind, value in console if kind == stream)


def version_and_authorize():
    response = Request('GET', '/authorize', {'echo': 'héllo'}).send()
    assert response.status == 200, response.text()
    assert response.json() == {'authorized': 'yes', 'echo': 'héllo'}
    response = Request('GET', '/').send()
    assert response.json()['version'] == 'v2.20170315', response.text()
    passed('version and authorize')


def sync_api():
    token = uuid.uuid4().hex
    kernel = Kernel.get_or_create('python3', token)
    assert Kernel.get_or_create('python3', token).kernel_id == kernel.kernel_id
    passed('get_or_create')

    _, console = finish(kernel, 'x = 6 * 7')
    assert console == [], console
    _, console = finish(kernel, "print(x, 'é 😀')")
    assert console == [['stdout', '42 é 😀\n']], console
    passed('state between queries')

    _, console = finish(kernel, 'import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)')
    assert console == [['stdout', '1\n'], ['stderr', '2\n'], ['stdout', '3\n']], console
    passed('order of streams')

    _, console = finish(kernel, '1 / 0')
    assert 'ZeroDivisionError' in text(console, 'stderr'), console
    _, console = finish(kernel, 'print(x)')
    assert text(console) == '42\n', console
    passed('exceptions')

    statuses, console = finish(
        kernel, "name = input('name? ')\nprint('hi', name)", answers=['lablup'])
    assert statuses == ['waiting-input', 'finished'], statuses
    assert text(console) == 'name? hi lablup\n', console
    result = kernel.execute("import getpass\np = getpass.getpass('pw: ')", mode='query')
    assert result['status'] == 'waiting-input', result
    assert result['options']['is_password'] is True, result
    _, console = finish(kernel, 'hunter2')
    _, console = finish(kernel, 'print(len(p))')
    assert text(console) == '7\n', console
    passed('input')

    statuses, console = finish(kernel, 'import time\nprint("a", flush=True)\ntime.sleep(3)\nprint("b")')
    assert statuses[:-1] and set(statuses[:-1]) == {'continued'}, statuses
    assert text(console) == 'a\nb\n', console
    passed('continued')

    info = kernel.get_info()
    assert info['lang'] == 'python3' and info['age'] > 0, info
    assert info['numQueriesExecuted'] > 0, info
    passed('get_info')

    options = {'row': 0, 'col': 4, 'line': 'x.re', 'post': ''}
    candidates = kernel.execute('x.re', mode='complete', opts=options)
    assert any('real' in candidate for candidate in candidates), candidates
    passed('complete')

    kernel.restart()
    _, console = finish(kernel, 'print("x" in globals())')
    assert text(console) == 'False\n', console
    passed('restart')

    kernel.destroy()
    try:
        kernel.get_info()
    except SornaAPIError as e:
        assert e.args[0] == 404, e
    else:
        raise AssertionError('the kernel still exists')
    passed('destroy')


def batch():
    kernel = Kernel.get_or_create('c')
    response = kernel.upload(list(C_FILES))
    assert response.status == 204, response.text()
    statuses, console = finish(kernel, '', 'batch', {'build': '*', 'exec': '*'})
    assert 'build-finished' in statuses, statuses
    assert text(console) == 'myvalue is 42\n', console
    kernel.destroy()
    passed('batch with three files')


def refusals():
    try:
        Kernel.get_or_create('no-such-language')
    except SornaAPIError as e:
        assert e.args[0] == 500, e
    else:
        raise AssertionError('a kernel of an unknown language')
    passed('unknown language')


def command_line():
    def run(*arguments):
        command = [sys.executable, '-m', 'sorna.cli', 'run', *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done
        return done
    done = run('python3', '-c', "print('hello world')")
    assert done.stdout == 'hello world\n', done
    assert 'Cleaned up the kernel.' in done.stderr, done
    done = run('c', *C_FILES)
    assert done.stdout == 'myvalue is 42\n', done
    assert 'Build finished.' in done.stderr, done
    done = run('-q', 'python3', '-c', 'print(1)')
    assert (done.stdout, done.stderr) == ('1\n', ''), done
    passed('command line')


async def async_api():
    kernel = await AsyncKernel.get_or_create('python3')
    result = await kernel.execute('print(6 * 7)')
    assert result['status'] == 'finished', result
    assert result['console'] == [['stdout', '42\n']], result
    info = await kernel.get_info()
    assert info['lang'] == 'python3', info
    await kernel.restart()
    await kernel.destroy()
    passed('async API')


def main():
    version_and_authorize()
    sync_api()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        for name, content in C_FILES.items():
            Path(name).write_text(content)
        batch()
        command_line()
        os.chdir('/')
    refusals()
    asyncio.run(async_api())
    passed('all')


main()
