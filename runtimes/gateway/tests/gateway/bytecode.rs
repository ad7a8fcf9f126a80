//! The runner of python3 as bytecode, which the first kernel makes for those that come later.

use std::fs;
use std::path::Path;

use sorna_core::KernelId;

use crate::common::{Client, gateway, gateway_with, wait_until};

/// What a kernel sees: whether its own runner was compiled in it, and which files with bytecode there are now.
const LOOK: &str = "import os, sys\n\
    runner = sys.modules['_sorna_runner']\n\
    place = os.path.dirname(runner.__file__) + '/__pycache__'\n\
    print(runner._HAS_COMPILED, sorted(name.split('.')[0] for name in os.listdir(place)))";

#[track_caller]
fn look(client: &Client, kernel: &KernelId) -> String {
    client.run(kernel, LOOK).finished().0
}

#[track_caller]
fn wait_for(client: &Client, kernel: &KernelId, seen: &str) {
    wait_until(seen, || look(client, kernel) == seen);
}

#[test]
fn later_kernels_load_what_the_first_one_has_compiled() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let first = client.create("python3");
    wait_for(&client, &first, "True ['python3']\n");
    let second = client.create("python3");
    assert_eq!(look(&client, &second), "False ['python3']\n");
    let (_, stderr) = client.run(&second, "def f():\n    1 / 0\nf()").finished();
    let lines: Vec<_> = stderr.lines().filter(|it| it.contains("File")).collect();
    let frames = [
        "  File \"<input-2>\", line 3, in <module>",
        "  File \"<input-2>\", line 2, in f",
    ];
    assert_eq!(lines, frames);
}

#[test]
fn a_later_gateway_loads_what_an_earlier_one_has_kept() {
    let parent = tempfile::tempdir().unwrap();
    let cache = parent.path().join("cache");
    let all = "['python3', 'sitecustomize', 'sorna_await', 'sorna_complete', 'sorna_echo', 'sorna_figures', 'sorna_files', \
        'sorna_ipython', 'sorna_kernel', 'sorna_pretty', 'sorna_relay', 'sorna_traces']";
    {
        let gateway = gateway_with(|config| config.with_cache(&cache));
        let client = Client::new(&gateway);
        let kernel = client.create("python3");
        wait_for(&client, &kernel, &format!("True {all}\n"));
    }
    assert_eq!(files(&cache), 12);
    let gateway = gateway_with(|config| config.with_cache(&cache));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    assert_eq!(look(&client, &kernel), format!("False {all}\n"));
    // It is that of the modules beside it as well.
    let code = "import sorna_echo; print(sorna_echo.__cached__ != None, sorna_echo.__name__)";
    assert_eq!(client.run(&kernel, code).finished().0, "True sorna_echo\n");
}

#[test]
fn what_was_damaged_or_is_for_other_sources_is_compiled_anew() {
    for damage in [
        // Of another source, cut, and no bytecode at all.
        |content: &mut Vec<u8>| content[8] ^= 1,
        |content: &mut Vec<u8>| content.truncate(100),
        |content: &mut Vec<u8>| content.fill(b'x'),
    ] {
        let parent = tempfile::tempdir().unwrap();
        let cache = parent.path().join("cache");
        {
            let gateway = gateway_with(|config| config.with_cache(&cache));
            Client::new(&gateway).create("python3");
            wait_until("it is kept", || files(&cache) == 12);
        }
        let runner = fs::read_dir(&cache).unwrap().map(|it| it.unwrap().path());
        let runner = runner
            .into_iter()
            .find(|it| it.to_str().unwrap().contains("/python3."))
            .unwrap();
        let mut damaged = fs::read(&runner).unwrap();
        damage(&mut damaged);
        fs::write(&runner, &damaged).unwrap();
        for compiles in ["True", "False"] {
            let gateway = gateway_with(|config| config.with_cache(&cache));
            let client = Client::new(&gateway);
            let kernel = client.create("python3");
            assert!(look(&client, &kernel).starts_with(compiles));
            wait_until("it is replaced", || fs::read(&runner).unwrap() != damaged);
        }
    }
}

#[test]
fn what_a_program_sends_is_not_kept() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    wait_for(&client, &kernel, "True ['python3']\n");
    // On the runner's own channel.
    let code = "import os\n\
        body = b'evil.cpython-311.pyc\\nx'\n\
        print(os.write(runner._LINK.fd, b'b %d\\n%s' % (len(body), body)) > 0)";
    assert_eq!(client.run(&kernel, code).finished().0, "True\n");
    client.run(&kernel, "1").finished();
    assert_eq!(look(&client, &kernel), "True ['python3']\n");
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}
