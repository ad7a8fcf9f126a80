//! Output of python3 kernels other than text: media, HTML, logs, and figures of matplotlib.

use std::path::PathBuf;

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{Console, Record};
use sorna_gateway::RunningGateway;
use sorna_test_tools::{need_original_client, need_that};

/// The records of a console as short texts.
fn shown(console: &Console) -> Vec<String> {
    let show = |record: Record<'_>| match record {
        Record::Stdout(text) => format!("out {text}"),
        Record::Stderr(text) => format!("err {text}"),
        Record::Html(text) => format!("html {text}"),
        Record::Media(media) => {
            let bytes = media.bytes().unwrap();
            let content = String::from_utf8_lossy(&bytes);
            format!("{} {content}", media.media_type())
        }
        Record::Log {
            level,
            logger,
            message,
            ..
        } => format!("log {level} {logger} {message}"),
        other => format!("{other:?}"),
    };
    console.iter().map(show).collect()
}

/// Runs a snippet in a new kernel.
fn run(code: &str) -> Vec<String> {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    shown(&client.console(&kernel, code))
}

#[test]
fn display_sends_the_richest_form() {
    let records = run("class Form:\n\
        \u{20}   def __init__(self, **forms):\n\
        \u{20}       for name, data in forms.items(): setattr(self, f'_repr_{name}_', lambda data=data: data)\n\
        \u{20}   def __repr__(self): return 'poor'\n\
        display(Form(svg='<svg/>', png=b'PNG', html='<b>'), Form(png=b'PNG', jpeg=b'J'), Form(jpeg=b'J', html='h'))\n\
        print('between', end='')\n\
        display(Form(html='<b>', markdown='*m*', latex='$l$'), Form(markdown='*m*', latex='$l$'), Form(latex='$l$'))\n\
        display(Form(svg=None, html=None), 'text', 3)\n\
        display(Form(png=(b'P', {'width': 1}), svg=None), Form(png='UE5H'), Form)\n\
        display()");
    assert_eq!(
        records,
        [
            "image/svg+xml <svg/>",
            "image/png PNG",
            "image/jpeg J",
            "out between",
            "html <b>",
            "text/markdown *m*",
            "text/latex $l$",
            "out poor\n'text'\n3\n",
            "image/png P",
            "image/png PNG",
            "out <class '__main__.Form'>\n",
        ]
    );
}

#[test]
fn display_supports_mime_bundles() {
    let records = run("class Bundle:\n\
        \u{20}   def __init__(self, bundle, **more): self.bundle = bundle; self.__dict__.update(more)\n\
        \u{20}   def _repr_mimebundle_(self, include=None, exclude=None): return self.bundle\n\
        \u{20}   def __repr__(self): return 'poor'\n\
        display(Bundle({'text/plain': 'plain', 'text/html': '<i>', 'image/png': 'UE5H\\n'}))\n\
        display(Bundle(({'image/svg+xml': '<svg/>'}, {'meta': 1})))\n\
        display(Bundle({'text/plain': 'plain', 'application/json': {'a': [1]}}))\n\
        display(Bundle({'text/plain': 'plain'}), Bundle({}), Bundle(None))\n\
        display(Bundle({'text/html': '<i>'}, _repr_png_=lambda: b'PNG'))\n\
        display(Bundle({'application/pdf': 'UERG', 'text/csv': 'a,b'}))");
    assert_eq!(
        records,
        [
            "image/png PNG",
            "image/svg+xml <svg/>",
            "application/json {\"a\": [1]}",
            "out plain\npoor\npoor\n",
            "image/png PNG",
            "application/pdf PDF",
        ]
    );
}

#[test]
fn a_failing_form_is_reported_and_the_next_is_used() {
    let records = run("class Bad:\n\
        \u{20}   def _repr_svg_(self): raise ValueError('no svg')\n\
        \u{20}   def _repr_png_(self): return 'not base64!'\n\
        \u{20}   def _repr_jpeg_(self): raise NotImplementedError\n\
        \u{20}   def _repr_html_(self): return '<b>'\n\
        class Worse:\n\
        \u{20}   def __getattr__(self, name): raise RuntimeError('no ' + name)\n\
        \u{20}   def __repr__(self): raise RuntimeError('no repr')\n\
        class Any:\n\
        \u{20}   def __getattr__(self, name): return lambda **_: 'anything'\n\
        \u{20}   def __repr__(self): return 'any'\n\
        display(Bad(), Any(), Worse(), 'after')");
    assert_eq!(records.len(), 5, "{records:?}");
    assert!(
        records[0].starts_with("err Traceback") && records[0].contains("ValueError: no svg\n"),
        "{records:?}"
    );
    assert!(records[0].contains("File \"<input-1>\", line 2, in _repr_svg_"));
    assert!(!records[0].contains("NotImplemented"), "{records:?}");
    assert_eq!(records[1], "html <b>");
    assert_eq!(records[2], "out any\n");
    assert!(
        records[3].starts_with("err Traceback")
            && records[3].ends_with("RuntimeError: no repr\n")
            && records[3].matches("Traceback").count() == 1,
        "{records:?}"
    );
    assert_eq!(records[4..], ["out 'after'\n"]);
}

#[test]
fn the_user_may_redefine_display() {
    let records = run("import builtins\n\
        def display(*x): print('mine', *x)\n\
        display(1)\n\
        del display\n\
        display('ours')\n\
        import sorna_kernel\n\
        print(display is sorna_kernel.display, 'display' in dir())");
    assert_eq!(records, ["out mine 1\n'ours'\nTrue False\n"]);
}

#[test]
fn html_and_media_keep_their_place_and_content() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import sys, sorna_kernel as k\n\
        print('a', end='')\n\
        k.html('<b>é \\ud800</b>')\n\
        print('b', end='', file=sys.stderr)\n\
        k.media('image/png', b'\\x89PNG')\n\
        k.media('image/svg+xml', '<svg/>')\n\
        k.media('text/plain; charset=utf-8', 'é'.encode())\n\
        k.media('text/plain', b'\\xff')\n\
        k.media('text/plain', 'data:not a URI')\n\
        k.media('application/json', '{}')\n\
        k.media('image/gif', 'data:image/gif;base64,R0lG')\n\
        k.media('image/webp', bytearray(b'W'))\n\
        print('c', end='')";
    let console = client.console(&kernel, code);
    let content = |record: &Record<'_>| match record {
        Record::Media(media) => media.content().to_owned(),
        Record::Html(text) | Record::Stdout(text) | Record::Stderr(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    let contents: Vec<String> = console.iter().map(|record| content(&record)).collect();
    assert_eq!(
        contents,
        [
            "a",
            "<b>é \\ud800</b>",
            "b",
            "data:image/png;base64,iVBORw==",
            "<svg/>",
            "é",
            "data:text/plain;base64,/w==",
            "data:text/plain;base64,ZGF0YTpub3QgYSBVUkk=",
            "data:application/json;base64,e30=",
            "data:image/gif;base64,R0lG",
            "data:image/webp;base64,Vw==",
            "c"
        ]
    );
    let (_, stderr) = client.run(&kernel, "k.media('png', b'')").finished();
    assert!(
        stderr.ends_with("ValueError: 'png' is not a media type such as 'image/png'\n"),
        "{stderr}"
    );
    let (_, stderr) = client.run(&kernel, "k.media('image/png', None)").finished();
    assert!(stderr.contains("TypeError"), "{stderr}");
}

#[test]
fn a_record_that_is_too_large_is_an_exception() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import sorna_kernel as k\n\
        kept = 1\n\
        k.html('x' * (16 * 1024 * 1024))";
    let outcome = client.run(&kernel, code);
    assert_eq!(outcome.exit_code(), Some(1));
    let (_, stderr) = outcome.finished();
    let expected = "ValueError: a record of 16777228 bytes is too large, at most 16777216 can be sent; \
        write it to a file instead\n";
    assert!(stderr.ends_with(expected), "{stderr}");
    // The largest record that fits is sent.
    let code = "k.media('image/png', bytes(11 * 1024 * 1024))\nprint(kept)";
    let console = client.console(&kernel, code);
    let records: Vec<Record<'_>> = console.iter().collect();
    assert!(
        matches!(&records[0], Record::Media(media) if media.bytes().unwrap().len() == 11 << 20)
    );
    assert_eq!(records[1], Record::Stdout("1\n".into()));
}

#[test]
fn large_records_stay_whole_among_signals_and_threads() {
    let records = run("import signal, threading, sorna_kernel as k\n\
        rings = 0\n\
        def ring(*_):\n\
        \u{20}   global rings\n\
        \u{20}   rings += 1\n\
        \u{20}   print('ring')\n\
        \u{20}   k.html('r' * 20_000)\n\
        \u{20}   raise TimeoutError\n\
        signal.signal(signal.SIGALRM, ring)\n\
        stop = False\n\
        def say():\n\
        \u{20}   while not stop: k.html('t' * 9_000); print('thread')\n\
        thread = threading.Thread(target=say); thread.start()\n\
        while rings < 50:\n\
        \u{20}   try:\n\
        \u{20}       signal.setitimer(signal.ITIMER_REAL, .0005)\n\
        \u{20}       while True: k.html('m' * 300_000)\n\
        \u{20}   except TimeoutError: pass\n\
        signal.signal(signal.SIGALRM, signal.SIG_IGN)\n\
        stop = True; thread.join()\n\
        print('done')");
    assert!(records.last().unwrap().ends_with("done\n"));
    for record in &records {
        if let Some(html) = record.strip_prefix("html ") {
            let expected = match html.chars().next().unwrap() {
                'm' => 300_000,
                't' => 9_000,
                _ => 20_000,
            };
            assert_eq!(html.len(), expected);
            assert_eq!(html.matches(&html[..1]).count(), expected);
        }
    }
    let rings = records
        .iter()
        .filter(|record| record.starts_with("html r"))
        .count();
    assert!(rings >= 50, "{rings}");
}

#[test]
fn a_forked_process_falls_back_to_text_or_raises() {
    let records = run("import os, sys, logging, sorna_kernel as k\n\
        k.capture_logs('INFO')\n\
        class Rich:\n\
        \u{20}   def _repr_html_(self): return '<b>'\n\
        \u{20}   def __repr__(self): return 'text'\n\
        def child(do):\n\
        \u{20}   pid = os.fork()\n\
        \u{20}   if pid == 0:\n\
        \u{20}       try: do()\n\
        \u{20}       except RuntimeError as error: print(error)\n\
        \u{20}       sys.stdout.flush(); os._exit(0)\n\
        \u{20}   os.waitpid(pid, 0)\n\
        display(Rich())\n\
        child(lambda: display(Rich()))\n\
        child(lambda: k.html('<i>'))\n\
        child(lambda: k.media('image/png', bytes(100_000)))\n\
        child(lambda: logging.info('in the child'))\n\
        display(Rich())\n\
        logging.info('in the kernel')");
    let error = "only the kernel itself can send records, not a process it forked\n";
    assert_eq!(
        records,
        [
            "html <b>".to_owned(),
            format!("out text\n{error}{error}"),
            "err INFO:root:in the child\n".to_owned(),
            "html <b>".to_owned(),
            "log INFO root in the kernel".to_owned(),
        ]
    );
}

#[test]
fn other_processes_cannot_import_the_module() {
    let records = run("import subprocess, sys, sorna_kernel\n\
        done = subprocess.run([sys.executable, '-c', 'import sorna_kernel'], capture_output=True, text=True)\n\
        print(done.returncode, done.stderr.splitlines()[-1])");
    assert_eq!(
        records,
        ["out 1 ModuleNotFoundError: No module named 'sorna_kernel'\n"]
    );
}

#[test]
fn captured_logs_are_records() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import logging, sys, threading\n\
        logging.getLogger('early').info('never')\n\
        import sorna_kernel\n\
        sorna_kernel.capture_logs(level='INFO')\n\
        log = logging.getLogger('app.db')\n\
        print('a', end='')\n\
        log.info('%d rows', 3); log.debug('not')\n\
        print('b', end='', file=sys.stderr)\n\
        log.warning('careful')\n\
        thread = threading.Thread(target=lambda: log.critical('from a thread'))\n\
        thread.start(); thread.join()\n\
        logging.error('root')\n\
        try: 1 / 0\n\
        except ZeroDivisionError: log.exception('failed')\n";
    let log = client.console(&kernel, code);
    let records = shown(&log);
    assert_eq!(
        records[..6],
        [
            "out a",
            "log INFO app.db 3 rows",
            "err b",
            "log WARNING app.db careful",
            "log CRITICAL app.db from a thread",
            "log ERROR root root"
        ]
    );
    assert!(
        records[6].starts_with("log ERROR app.db failed\nTraceback")
            && records[6].ends_with("ZeroDivisionError: division by zero"),
        "{records:?}"
    );
    let times: Vec<String> = log
        .iter()
        .filter_map(|record| match record {
            Record::Log { time, .. } => Some(time.into_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(times.len(), 5);
    for time in times {
        // 2017-06-29T01:23:45.678+00:00
        assert_eq!(time.len(), 29, "{time}");
        assert_eq!(
            (&time[10..11], &time[19..20], &time[26..27]),
            ("T", ".", ":")
        );
    }

    // Another level and logger; and after removing the handler.
    let code = "handler = sorna_kernel.capture_logs('DEBUG', 'app')\n\
        log.debug('now'); logging.warning('elsewhere')\n\
        logging.getLogger('app').removeHandler(handler)\n\
        log.warning('gone')";
    let records = shown(&client.console(&kernel, code));
    assert_eq!(records[0], "log DEBUG app.db now");
    assert!(records[1..].iter().all(|record| record.starts_with("err ")));
    let (_, stderr) = client
        .run(&kernel, "sorna_kernel.capture_logs('LOUD')")
        .finished();
    assert!(
        stderr.ends_with("ValueError: Unknown level: 'LOUD'\n"),
        "{stderr}"
    );
}

#[test]
fn the_module_is_loaded_only_when_it_is_used() {
    let records = run("import sys\n\
        print([name for name in ('sorna_kernel', 'sorna_figures', 'sorna_complete') if name in sys.modules])");
    assert_eq!(records, ["out []\n"]);
}

#[test]
fn display_knows_what_notebooks_know() {
    let records = run("class Form:\n\
        \u{20}   def __init__(self, **forms):\n\
        \u{20}       for name, data in forms.items(): setattr(self, f'_{name}_', lambda data=data: data)\n\
        \u{20}   def __repr__(self): return 'poor'\n\
        class Own:\n\
        \u{20}   def _ipython_display_(self): print('own')\n\
        class Bad(Form):\n\
        \u{20}   def _ipython_display_(self): raise ValueError('bad')\n\
        class Not(Form):\n\
        \u{20}   def _ipython_display_(self): raise NotImplementedError\n\
        display(Form(repr_json={'a': [1]}), Form(repr_json=({'b': 2}, {'meta': 1})), Form(repr_javascript='f()'), Form(repr_pdf=b'PDF'))\n\
        display(Own(), Not(repr_html='<b>'), Own)\n\
        both = Form(repr_html='<b>', repr_png=b'PNG')\n\
        display(both, include=['text/html'])\n\
        display(both, exclude=['image/png'])\n\
        display(both, include=['text/plain'])\n\
        display({'text/html': '<i>', 'text/plain': 'i'}, {'text/plain': 'plain'}, raw=True)\n\
        display(Bad(repr_html='<b>'), metadata={})");
    let (bad, others) = records.split_at(records.len() - 2);
    assert_eq!(
        bad,
        [
            "application/json {\"a\": [1]}",
            "application/json {\"b\": 2}",
            "application/javascript f()",
            "application/pdf PDF",
            "out own\n",
            "html <b>",
            "out <class '__main__.Own'>\n",
            "html <b>",
            "html <b>",
            "out poor\n",
            "html <i>",
            "out plain\n",
        ]
    );
    assert!(
        others[0].starts_with("err Traceback") && others[0].ends_with("ValueError: bad\n"),
        "{others:?}"
    );
    assert_eq!(others[1], "html <b>");
}

/// The environment that has matplotlib.
fn environment() -> Option<PathBuf> {
    let python = need_original_client()?;
    let directory = python.parent().unwrap().to_owned();
    let has_it = std::process::Command::new(&python)
        .args(["-I", "-c", "import matplotlib"])
        .status()
        .is_ok_and(|status| status.success());
    let what = format!("matplotlib of {}", python.display());
    need_that(has_it, &what).then_some(directory)
}

fn gateway_with_matplotlib() -> Option<RunningGateway> {
    let mut path = environment()?.into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    Some(gateway_with(|config| config.with_path(path)))
}

/// Media types and the first bytes; text as it is.
fn pictures(console: &Console) -> Vec<String> {
    let show = |record: Record<'_>| match record {
        Record::Media(media) => {
            let bytes = media.bytes().unwrap();
            let what = match &bytes[..] {
                [
                    0x89,
                    b'P',
                    b'N',
                    b'G',
                    ..,
                    b'I',
                    b'E',
                    b'N',
                    b'D',
                    _,
                    _,
                    _,
                    _,
                ] => "a PNG",
                [
                    b'<',
                    b'?',
                    b'x',
                    b'm',
                    b'l',
                    ..,
                    b'<',
                    b'/',
                    b's',
                    b'v',
                    b'g',
                    b'>',
                    b'\n',
                ] => "an SVG",
                _ => "garbage",
            };
            format!("{} {what}", media.media_type())
        }
        Record::Stdout(text) => text.into_owned(),
        other => format!("{other:?}"),
    };
    console.iter().map(show).collect()
}

#[test]
fn figures_of_matplotlib_are_sent_when_shown() {
    let Some(gateway) = gateway_with_matplotlib() else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let run = |code: &str| pictures(&client.console(&kernel, code));
    let first = run("print('a', end='')\n\
        import matplotlib.pyplot as plt\n\
        plt.plot([1, 2, 3])\n\
        plt.figure(); plt.title('é')\n\
        plt.show()\n\
        print('b', plt.get_fignums())");
    assert_eq!(first, ["a", "image/png a PNG", "image/png a PNG", "b []\n"]);
    // No figure is open any more. A figure that is shown by itself stays open.
    assert_eq!(run("plt.show()"), [""; 0]);
    let code = "figure, axes = plt.subplots()\n\
        axes.plot([1, 2])\n\
        figure.show(); display(figure); plt.show(block=False); plt.pause(0.001)\n\
        print(plt.get_fignums())\n\
        plt.show()\n\
        print(plt.get_fignums())";
    let picture = "image/png a PNG";
    assert_eq!(
        run(code),
        [picture, picture, picture, picture, "[1]\n", picture, "[]\n"]
    );
    let code = "import sorna_kernel\n\
        sorna_kernel.figure_format('svg')\n\
        plt.plot([1]); plt.show()\n\
        sorna_kernel.figure_format('png')\n\
        plt.plot([1]); plt.show()\n";
    assert_eq!(run(code), ["image/svg+xml an SVG", picture]);
    let (_, stderr) = client
        .run(&kernel, "sorna_kernel.figure_format('gif')")
        .finished();
    assert!(
        stderr.ends_with(
            "ValueError: a figure can be sent as 'png', 'retina' or 'svg', not as 'gif'\n"
        ),
        "{stderr}"
    );
    // From a thread.
    let code = "import threading\n\
        def work():\n\
        \u{20}   plt.plot([1]); plt.show()\n\
        t = threading.Thread(target=work); t.start(); t.join()";
    assert_eq!(run(code), [picture]);
    // A figure that cannot be drawn raises an exception, and does not affect later ones.
    let code = "plt.title('$\\\\frac$')\n\
        try: plt.show()\n\
        except ValueError as error: print(type(error).__name__)\n\
        plt.show()\nprint(plt.get_fignums())";
    assert_eq!(run(code), ["ValueError\n[]\n"]);
}

#[test]
fn a_backend_that_the_user_chose_is_kept() {
    let Some(gateway) = gateway_with_matplotlib() else {
        return;
    };
    let client = Client::new(&gateway);
    let ask = "import matplotlib\n\
        import matplotlib.pyplot as plt\n\
        plt.plot([1])\n\
        plt.show()\n\
        print(plt.get_backend().lower())";
    for (choice, backend) in [
        ("import os; os.environ['MPLBACKEND'] = 'svg'\n", "svg\n"),
        ("import matplotlib; matplotlib.use('agg')\n", "agg\n"),
        (
            "import matplotlib; matplotlib.rcParams['backend'] = 'pdf'\n",
            "pdf\n",
        ),
        (
            "open('matplotlibrc', 'w').write('backend: ps\\n')\n",
            "ps\n",
        ),
    ] {
        let kernel = client.create("python3");
        let (stdout, _) = client.run(&kernel, &format!("{choice}{ask}")).finished();
        assert_eq!(stdout, backend, "{choice}");
    }
    // Processes that the program starts have their own backend.
    let kernel = client.create("python3");
    let code = format!(
        "import matplotlib.pyplot, subprocess, sys, os\n\
         print('MPLBACKEND' in os.environ, end=' ', flush=True)\n\
         done = subprocess.run([sys.executable, '-W', 'ignore', '-c', {ask:?}])"
    );
    assert_eq!(client.run(&kernel, &code).finished().0, "False agg\n");
    let code = "import os, sys\n\
        pid = os.fork()\n\
        if pid == 0:\n\
        \u{20}   import matplotlib.pyplot as plt\n\
        \u{20}   plt.plot([1])\n\
        \u{20}   plt.savefig('child.png')\n\
        \u{20}   try: plt.show()\n\
        \u{20}   except RuntimeError as error: print(error)\n\
        \u{20}   sys.stdout.flush(); os._exit(0)\n\
        os.waitpid(pid, 0)\n\
        print(open('child.png', 'rb').read(4)[1:])";
    assert_eq!(
        client.run(&kernel, code).finished().0,
        "only the kernel itself can send records, not a process it forked\nb'PNG'\n"
    );
}
