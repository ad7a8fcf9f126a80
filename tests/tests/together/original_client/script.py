"""Drives a gateway by the original Python client (sorna-client 0.9.8).

SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY say which. Each check prints a line; a failure
ends the script with a traceback.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import uuid
import warnings
from pathlib import Path

import aiohttp
from sorna import kernel as legacy
from sorna.asyncio import kernel as async_legacy
from sorna.asyncio.kernel import AsyncKernel, StreamPty
from sorna.exceptions import SornaAPIError, SornaClientError
from sorna.kernel import Kernel
from sorna.request import Request

# The functions of the API before this one say at every call that they are old.
warnings.simplefilter('ignore', DeprecationWarning)

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


def error_responses():
    try:
        Kernel.get_or_create('no-such-language')
    except SornaAPIError as e:
        assert e.args[0] == 500, e
    else:
        raise AssertionError('a kernel of an unknown language')
    passed('unknown language')


def create_options():
    kernel = Kernel.get_or_create('python3', max_mem=65536, exec_timeout=7000)
    assert kernel.get_info()['queryTimeout'] == 7000, kernel.get_info()
    kernel.destroy()
    try:
        Kernel.get_or_create('python3', mounts=['data'])
    except SornaAPIError as e:
        assert e.args[0] == 500, e
    else:
        raise AssertionError('a kernel with a folder that there is not')
    try:
        kernel.execute('', mode='sideways')
    except SornaClientError:
        passed('options')
    else:
        raise AssertionError('a mode that there is not')


def legacy_api():
    kernel = legacy.create_kernel('python3', uuid.uuid4().hex)
    # By the object and by its number.
    for which in kernel, kernel.kernel_id:
        result = legacy.execute_code(which, 'print(6 * 7)')
        assert result['console'] == [['stdout', '42\n']], result
        assert legacy.get_kernel_info(which)['lang'] == 'python3'
        legacy.restart_kernel(which)
    legacy.destroy_kernel(kernel.kernel_id)
    passed('functions of the older API')


def command_line():
    def run(*arguments, command=(sys.executable, '-m', 'sorna.cli', 'run'), stdin=''):
        done = subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, text=True, timeout=120)
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
    done = run('-q', 'c', *C_FILES, '-b', 'gcc -DX main.c mylib.c -o other', '-e', './other; echo ran')
    assert done.stdout == 'myvalue is 42\nran\n', done
    passed('command line')

    token = uuid.uuid4().hex
    run('-q', '-t', token, 'python3', '-c', 'x = 6 * 7')
    done = run('-q', '-t', token, 'python3', '-c', "print(x, input('? '))", stdin='told\n')
    assert done.stdout == '? 42 told\n', done
    Kernel.get_or_create('python3', token).destroy()
    passed('command line with a token, and input')

    done = run('-q', '-c', 'display(1); import sorna_kernel; sorna_kernel.html("<b>")',
               command=[Path(sys.executable).parent / 'lpython'])
    record = '----- output record (type: html) -----\n<b>\n----- end of record -----\n'
    assert done.stdout == '1\n' + record, done
    done = run(*C_FILES, '-q', command=[Path(sys.executable).parent / 'lcc'])
    assert done.stdout == 'myvalue is 42\n', done
    passed('command line by its other names')


async def async_api():
    token = uuid.uuid4().hex
    kernel = await AsyncKernel.get_or_create('python3', token)
    result = await kernel.execute('x = 1\nprint(6 * 7)')
    assert result['status'] == 'finished', result
    assert result['console'] == [['stdout', '42\n']], result
    found = await kernel.execute('x.re', mode='complete', opts={'line': 'x.re', 'col': 4})
    assert 'x.real' in found, found
    opts = {'build': 'echo built', 'exec': 'echo ran'}
    result = await kernel.execute('', mode='batch', opts=opts)
    assert result['status'] == 'build-finished', result
    info = await kernel.get_info()
    assert info['lang'] == 'python3', info
    await kernel.restart()
    passed('async API')

    # Sent as multipart/mixed but signed as multipart/form-data: no gateway takes it.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / 'file'
        path.write_text('content')
        response = await kernel.upload([str(path)])
    assert response.status == 401, (response.status, response.text())
    passed('async upload is refused')

    for which in kernel, kernel.kernel_id:
        result = await async_legacy.execute_code(which, 'print(1)')
        assert result['console'] == [['stdout', '1\n']], result
        assert (await async_legacy.get_kernel_info(which))['lang'] == 'python3'
        await async_legacy.restart_kernel(which)
    again = await async_legacy.create_kernel('python3', token)
    assert again.kernel_id == kernel.kernel_id
    await async_legacy.destroy_kernel(again)
    passed('async functions of the older API')


async def open_terminal(kernel):
    """What the original's `stream_pty` does, and the signature that it forgets."""
    request = Request('GET', '/stream/kernel/{}/pty'.format(kernel.kernel_id))
    request._sign()
    session, ws = await request.connect_websocket()
    # The original calls it as a function, which it was in its days.
    send = ws.send_str
    ws.send_str = lambda text: asyncio.ensure_future(send(text))
    return StreamPty(kernel.kernel_id, session, ws)


async def terminal():
    kernel = await AsyncKernel.get_or_create('bash')
    try:
        await kernel.stream_pty()
    except SornaClientError as e:
        assert e.args[0] == 400, e
    else:
        raise AssertionError('a terminal without a signature')
    passed('terminal without a signature is refused')

    pty = await open_terminal(kernel)
    seen = b''

    def types(text):
        chars = base64.b64encode(text.encode()).decode()
        pty.send_str(json.dumps({'type': 'stdin', 'chars': chars}))

    async def until(expected):
        nonlocal seen
        while expected.encode() not in seen:
            message = await asyncio.wait_for(pty.__anext__(), 60)
            assert message.type == aiohttp.WSMsgType.TEXT, message
            data = json.loads(message.data)
            assert data['type'] == 'out', data
            seen += base64.b64decode(data['data'])
        seen = b''

    pty.resize(24, 80)
    types('x=before; echo $((6 * 7))-é; stty size\r')
    await until('42-é\r\n24 80\r\n')
    pty.resize(50, 132)
    types('stty size\r')
    await until('50 132\r\n')
    pty.send_str(json.dumps({'type': 'ping'}))
    passed('terminal')

    pty.restart()
    types('echo x-is-[$x]\r')
    await until('x-is-[]\r\n')
    passed('restart in the terminal')

    await kernel.destroy()
    async for message in pty:
        assert message.type == aiohttp.WSMsgType.TEXT, message
    assert pty.closed and pty.ws.close_code == 1000, pty.ws.close_code
    assert pty.exception() is None, pty.exception()
    await pty.close()
    passed('terminal ends with the kernel')


def main():
    version_and_authorize()
    sync_api()
    create_options()
    legacy_api()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        for name, content in C_FILES.items():
            Path(name).write_text(content)
        batch()
        command_line()
        os.chdir('/')
    error_responses()
    asyncio.run(async_api())
    asyncio.run(terminal())
    passed('all')


main()
