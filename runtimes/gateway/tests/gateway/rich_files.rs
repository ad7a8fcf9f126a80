//! Output of python3 programs in files other than text: what snippets show, files show.

use std::path::PathBuf;

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{
    Batch, Console, Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, KernelId,
    Record,
};
use sorna_gateway::RunningGateway;
use sorna_test_tools::{need_original_client, need_that};

fn finish(client: &Client, (start, mut result): (Execute, ExecutionResult)) -> Vec<String> {
    let mut all = Console::new();
    loop {
        all.append(result.console);
        if result.status != ExecutionStatus::Continued {
            assert_eq!(result.status, ExecutionStatus::Finished);
            break;
        }
        result = client.call(&start.proceed(Continuation::Continue)).unwrap();
    }
    let mut shown: Vec<String> = Vec::new();
    for record in all.iter() {
        let text = match record {
            Record::Stdout(text) => format!("out {text}"),
            Record::Stderr(text) => format!("err {text}"),
            Record::Html(text) => format!("html {text}"),
            Record::Media(media) => {
                let bytes = media.bytes().unwrap();
                let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(4)]).into_owned();
                format!("{} {begin}", media.media_type())
            }
            Record::Log {
                level,
                logger,
                message,
                ..
            } => format!("log {level} {logger} {message}"),
            other => format!("{other:?}"),
        };
        // A text may come in pieces.
        match (shown.last_mut(), text.strip_prefix("out ")) {
            (Some(last), Some(more)) if last.starts_with("out ") => last.push_str(more),
            _ => shown.push(text),
        }
    }
    shown
}

fn snippet(client: &Client, kernel: &KernelId, code: &str) -> Vec<String> {
    finish(client, client.query(kernel, code))
}

fn file(client: &Client, kernel: &KernelId, code: &str) -> Vec<String> {
    client
        .upload(kernel, &[("main.py", code.as_bytes())])
        .unwrap();
    batch(client, kernel, "python3 main.py")
}

fn batch(client: &Client, kernel: &KernelId, exec: &str) -> Vec<String> {
    let batch = ExecuteMode::Batch(Batch::new().with_exec(exec));
    finish(client, client.start(kernel, batch))
}

const RICH: &str = "class Rich:\n    def __init__(self, text): self.text = text\n    def _repr_html_(self): return self.text\n";

#[test]
fn files_show_what_snippets_show() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let programs = [
        "print('before'); display(Rich('<b>')); print('between'); display(Rich('<i>'), 5, 'text'); print('after')",
        "import sorna_kernel\nprint('no end', end='')\nsorna_kernel.html('<p>é')\nsorna_kernel.media('image/png', b'\\x89PNG' + bytes(3_000_000))\nprint('.')",
        "import logging, sorna_kernel\nsorna_kernel.capture_logs()\nlogging.info('told'); print('said'); logging.getLogger('a.b').error('\\ud800')",
        "import threading\nfor n in range(5):\n    t = threading.Thread(target=display, args=(Rich(str(n)),)); t.start(); t.join(); print(n)",
        "import sorna_kernel\ntry: sorna_kernel.media('image/png', bytes(20_000_000))\nexcept ValueError as e: print(e)",
        "import subprocess, sys\ndisplay(Rich('first'))\nsubprocess.run(['echo', 'program'])\ndisplay(Rich('last'))",
        "for n in range(200): display(Rich(str(n))); print(n)",
    ];
    for program in programs {
        let program = format!("{RICH}{program}");
        let kernel = client.create("python3");
        let expected = snippet(&client, &kernel, &program);
        assert_eq!(file(&client, &kernel, &program), expected, "{program}");
        // Again, as the kernel may have to do something for that only once.
        assert_eq!(
            batch(&client, &kernel, "cd . && python3 ./main.py"),
            expected
        );
        client.destroy(&kernel);
    }
}

#[test]
fn files_show_it_after_a_restart_and_from_children() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = format!("{RICH}display(Rich('x'))");
    assert_eq!(file(&client, &kernel, &code), ["html x"]);
    client
        .call(&sorna_core::Restart::new(kernel.clone()))
        .unwrap();
    assert_eq!(file(&client, &kernel, &code), ["html x"]);
    snippet(
        &client,
        &kernel,
        "import os, shutil\nfor name in os.listdir(os.environ['TMPDIR']): os.unlink(os.environ['TMPDIR'] + '/' + name)",
    );
    assert_eq!(file(&client, &kernel, &code), ["html x"]);
    let code = format!(
        "{RICH}import os\ndisplay(Rich('parent'))\nif os.fork() == 0:\n    display(Rich('child'))\n    os._exit(0)\nos.wait()\nprint('end')"
    );
    assert_eq!(
        file(&client, &kernel, &code),
        ["html parent", "html child", "out end\n"]
    );
}

/// Nothing else is different from how the program runs by itself.
#[test]
fn programs_in_files_behave_as_ever() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import os, sys\n\
        print(__name__, sys.argv, __file__ == os.path.abspath('main.py'), sys.path[0] == os.getcwd(), sys.flags.isolated)\n\
        print([name for name in os.environ if name.startswith(('PYTHONPATH', 'SORNA_KERNEL_L', 'MPL'))])\n\
        print([path for path in sys.path if os.path.exists(os.path.join(path, 'sorna_files.py'))])\n\
        print([name for name in sys.modules if name in ('sitecustomize', 'sorna_files', 'json', 'base64')])\n\
        print(sorted(globals()))";
    let expected = "__main__ ['main.py'] True True 0\n[]\n[]\n[]\n\
        ['__annotations__', '__builtins__', '__cached__', '__doc__', '__file__', '__loader__', '__name__', '__package__', '__spec__', 'os', 'sys']\n";
    // Later releases have fewer names, but no others.
    let shown = file(&client, &kernel, code).concat();
    let named = |text: &str| text.replace("'__annotations__', ", "");
    assert_eq!(named(&shown), named(&format!("out {expected}")));

    // A `sitecustomize` of the user, and Pythons that are told to ignore the environment.
    client
        .upload(
            &kernel,
            &[
                ("own/sitecustomize.py", b"print('own')"),
                (
                    "p.py",
                    b"import builtins; print(hasattr(builtins, 'display'))",
                ),
            ],
        )
        .unwrap();
    let rows = [
        ("PYTHONPATH=$PYTHONPATH:own python3 p.py", "own\nTrue\n"),
        ("PYTHONPATH=own:$PYTHONPATH python3 p.py", "own\nFalse\n"),
        ("python3 p.py", "True\n"),
        ("python3 -m p", "True\n"),
        ("python3 -c 'import p'", "True\n"),
        ("python3 -I p.py", "False\n"),
        ("python3 -S p.py", "False\n"),
        (
            "python3 -c 'import subprocess, sys; subprocess.run([sys.executable, \"p.py\"])'",
            "False\n",
        ),
        (
            "python3 -c 'import sitecustomize' 2>&1 | tail -n 1",
            "ModuleNotFoundError: No module named 'sitecustomize'\n",
        ),
        ("python3 -c '1 / 0' 2>&1 | wc -l", "3\n"),
    ];
    for (exec, expected) in rows {
        let shown = batch(&client, &kernel, exec).concat();
        assert_eq!(shown, format!("out {expected}"), "{exec}");
    }
}

#[test]
fn figures_of_matplotlib_are_sent_from_files() {
    let Some(python) = need_original_client() else {
        return;
    };
    let has_it = std::process::Command::new(&python)
        .args(["-I", "-c", "import matplotlib"])
        .status()
        .is_ok_and(|status| status.success());
    if !need_that(has_it, &format!("matplotlib of {}", python.display())) {
        return;
    }
    let mut path = PathBuf::from(python.parent().unwrap()).into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let gateway = gateway_with(|config| config.with_path(path));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let plot = "import matplotlib.pyplot as plt\nprint('a')\nplt.plot([1, 2])\nplt.show()\nprint('b', plt.get_fignums())";
    let picture = "image/png \u{fffd}PNG";
    let shown = ["out a\n", picture, "out b []\n"];
    assert_eq!(file(&client, &kernel, plot), shown);
    let figures = format!("{plot}\nfigure = plt.figure()\ndisplay(figure)\nfigure.show()");
    let more = [&shown[..], &[picture, picture]].concat();
    assert_eq!(file(&client, &kernel, &figures), more);
    // A backend that the user chose is kept.
    let rows = [
        ("MPLBACKEND=svg python3 ask.py", "svg\n"),
        (
            "echo 'backend: ps' >matplotlibrc; python3 ask.py; rm matplotlibrc",
            "ps\n",
        ),
        (
            "python3 -c 'import matplotlib; matplotlib.use(\"agg\"); import ask'",
            "agg\n",
        ),
        ("python3 ask.py", "module://sorna_figures\n"),
    ];
    let ask = b"import matplotlib.pyplot as plt; print(plt.get_backend().lower())";
    client.upload(&kernel, &[("ask.py", ask)]).unwrap();
    for (exec, expected) in rows {
        let shown = batch(&client, &kernel, exec).concat();
        assert_eq!(shown, format!("out {expected}"), "{exec}");
    }
}

#[test]
fn display_of_ipython_shows_the_same() {
    let Some(gateway) = gateway_with_ipython() else {
        return;
    };
    let client = Client::new(&gateway);
    let code = "from IPython.display import display as show, HTML, Image, Markdown, JSON, display_html, publish_display_data\n\
        import IPython.display\n\
        show(HTML('<b>'), Markdown('*m*'))\n\
        show(JSON({'a': 1}))\n\
        show(Image(data=b'\\x89PNG', format='png'))\n\
        IPython.display.display(3, 'text')\n\
        class Form:\n\
        \u{20}   def _repr_html_(self): return '<i>'\n\
        \u{20}   def _repr_png_(self): return b'PNG'\n\
        \u{20}   def __repr__(self): return 'poor'\n\
        display_html(Form())\n\
        publish_display_data({'text/plain': 'p', 'text/html': '<p>'})\n\
        handle = show('first', display_id=True)\n\
        handle.update('second')\n\
        IPython.display.clear_output(wait=True)\n\
        display(HTML('<b>'))";
    let expected = [
        "html <b>",
        "text/markdown *m*",
        // No more than four bytes are compared.
        "application/json {\"a\"",
        "image/png \u{fffd}PNG",
        "out 3\n'text'\n",
        "html <i>",
        "html <p>",
        "out 'first'\n'second'\n",
        "html <b>",
    ];
    let kernel = client.create("python3");
    assert_eq!(snippet(&client, &kernel, code), expected);
    assert_eq!(file(&client, &kernel, code), expected);
}

fn gateway_with_ipython() -> Option<RunningGateway> {
    let python = need_original_client()?;
    let has_it = std::process::Command::new(&python)
        .args(["-I", "-c", "import IPython"])
        .status()
        .is_ok_and(|status| status.success());
    if !need_that(has_it, &format!("IPython of {}", python.display())) {
        return None;
    }
    let mut path = python.parent().unwrap().to_owned().into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    Some(gateway_with(|config| config.with_path(path)))
}
