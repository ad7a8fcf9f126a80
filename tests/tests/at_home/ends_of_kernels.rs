//! Which interpreters end, when, and what of that is seen.

use std::time::{Duration, Instant};

use sorna::{Batch, ExecuteMode, KernelSpec, Limits, RunPlan, UploadFile};
use sorna_test_tools::need;

use crate::home;
use crate::kernel::{self, Place, run_plan};
use crate::outcome::Outcome;

/// In each language, a program that writes `bye` to the file `left` at the end of its interpreter, and one that prints that.
const LEAVE_A_FILE: &[(&str, &str, &str)] = &[
    (
        "python3",
        "import atexit; atexit.register(lambda: open('left', 'w').write('bye'))",
        "print(open('left').read())",
    ),
    (
        "python3",
        "file = open('left', 'w'); file.write('bye')",
        "print(open('left').read())",
    ),
    ("bash", "trap 'echo bye >left' EXIT", "cat left"),
    (
        "perl",
        "END { open my $f, '>', 'left'; print $f 'bye' }",
        "open my $g, '<', 'left'; print <$g>, \"\\n\"",
    ),
    (
        "ruby",
        "at_exit { puts 'nowhere'; File.write('left', 'bye') }",
        "puts File.read('left')",
    ),
    (
        "nodejs",
        "process.on('exit', () => require('fs').writeFileSync('left', 'bye'))",
        "console.log(require('fs').readFileSync('left', 'utf8'))",
    ),
    (
        "lua",
        "g = setmetatable({}, {__gc = function() local f = io.open('left', 'w'); f:write('bye'); f:close() end})",
        "print(io.open('left'):read('a'))",
    ),
    (
        "php",
        "register_shutdown_function(function() { file_put_contents('left', 'bye'); });",
        "echo file_get_contents('left'), \"\\n\";",
    ),
    (
        "r",
        ".Last <- function() cat('bye', file = 'left')",
        "cat(readLines('left', warn = FALSE), '\\n', sep = '')",
    ),
];

fn says(stdout: &str, exit_code: i64) -> Outcome {
    Outcome {
        stdout: stdout.to_owned(),
        stderr: String::new(),
        exit_code,
    }
}

#[test]
fn a_restart_lets_an_idle_interpreter_end() {
    let place = Place::start();
    for (language, program, shows) in LEAVE_A_FILE {
        if !need(home::command(language)[0]) {
            continue;
        }
        let kernel = place.client.create(*language).unwrap();
        kernel.run(*program).unwrap();
        kernel.restart().unwrap();
        let shown = kernel.run(*shows).unwrap();
        assert_eq!(
            &*shown.stdout(),
            "bye\n",
            "{language}: {program}, {shown:?}"
        );
        kernel.destroy().unwrap();
    }
}

#[test]
fn kernels_that_are_kept_run_no_hooks_between_snippets() {
    let place = Place::start();
    let kernel = place.client.create("python3").unwrap();
    let code = "import atexit; atexit.register(print, 'hook'); print('hi')";
    assert_eq!(&*kernel.run(code).unwrap().stdout(), "hi\n");
    assert_eq!(&*kernel.run("print(code := 5)").unwrap().stdout(), "5\n");
    kernel.destroy().unwrap();
}

#[test]
fn exit_codes_of_kept_kernels_are_those_of_programs() {
    let place = Place::start();
    let rejects = "setTimeout(() => console.log('never'), 500); Promise.reject(new Error('no')); 1";
    let tests = "require('node:test')('fails', () => { throw new Error('no') }); 1";
    for (language, programs) in [
        (
            "nodejs",
            &[
                ("process.exitCode = 6; 1", 6),
                ("1", 0),
                (rejects, 1),
                (
                    "process.on('beforeExit', () => { process.exitCode = 3 }); 1",
                    3,
                ),
                (
                    "process.removeAllListeners('beforeExit'); setTimeout(() => {}, 600)",
                    0,
                ),
                (tests, 1),
                ("1", 0),
            ][..],
        ),
        (
            "perl",
            &[("$! = 2; die", 2), ("$! = 0; die", 255), ("1", 0)],
        ),
        (
            "python3",
            &[
                ("raise SystemExit(7)", 7),
                ("1 / 0", 1),
                ("raise KeyboardInterrupt", 130),
                ("1", 0),
            ],
        ),
        (
            "ruby",
            &[
                ("raise 'x'", 1),
                ("raise Interrupt", 130),
                ("raise SignalException, 'TERM'", 143),
                ("1", 0),
            ],
        ),
    ] {
        if !need(home::command(language)[0]) {
            continue;
        }
        let kernel = place.client.create(language).unwrap();
        for (program, exit_code) in programs {
            let result = kernel.run(*program).unwrap();
            assert_eq!(
                result.exit_code(),
                Some(*exit_code),
                "{program}: {result:?}"
            );
            assert!(!result.stdout().contains("never"), "{program}: {result:?}");
        }
        kernel.destroy().unwrap();
    }
}

#[test]
fn a_destroy_does_not_wait_for_a_hook_that_takes_long() {
    let place = Place::start();
    for (language, program) in [
        (
            "python3",
            "import atexit, time; atexit.register(time.sleep, 600)",
        ),
        (
            "python3",
            "import atexit; atexit.register(input, 'who asks? ')",
        ),
        ("bash", "trap 'sleep 600' EXIT"),
        ("bash", "trap 'yes' EXIT"),
    ] {
        let kernel = place.client.create(language).unwrap();
        kernel.run(program).unwrap();
        let started = Instant::now();
        kernel.destroy().unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "{program}");
    }
    assert_eq!(place.gateway.stats().kernels, 0);
}

#[test]
fn a_hook_may_ask_for_input() {
    for place in [Place::start(), Place::with_backend_ai()] {
        for (language, program) in [
            (
                "python3",
                "import atexit; atexit.register(lambda: print('<' + input('name? ') + '>'))",
            ),
            ("bash", "trap 'read -r x; echo \"name? <$x>\"' EXIT"),
            (
                "ruby",
                "at_exit { print 'name? '; puts \"<#{gets.chomp}>\" }",
            ),
        ] {
            if !need(home::command(language)[0]) {
                continue;
            }
            let (outcome, _) = run_plan(&place, RunPlan::temporary(language, [program]), &["Ada"]);
            assert_eq!(outcome, says("name? <Ada>\n", 0), "{program}");
        }
    }
}

#[test]
fn the_end_is_seen_over_the_api_of_backend_ai_as_well() {
    let place = Place::with_backend_ai();
    let code = "import atexit, sys; atexit.register(print, 'bye'); print('hi'); sys.exit(7)";
    assert_eq!(kernel::run(&place, "python3", code), says("hi\nbye\n", 7));
}

#[test]
fn the_end_is_within_the_time_limit() {
    let place = Place::start();
    let limits = Limits::new().with_exec_timeout(Duration::from_secs(1));
    for (language, program) in [
        (
            "python3",
            "import atexit, time; atexit.register(time.sleep, 600); print('hi')",
        ),
        ("bash", "trap 'sleep 600' EXIT; echo hi"),
    ] {
        let spec = KernelSpec::new(language).with_limits(limits);
        let (outcome, _) = run_plan(&place, RunPlan::temporary(spec, [program]), &[]);
        assert_eq!(outcome, says("hi\n", -1), "{program}");
    }
}

#[test]
fn hooks_of_earlier_snippets_run_once_at_the_end() {
    let place = Place::start();
    let hook = "import atexit; atexit.register(print, 'bye')";
    let plan = |codes: &[&str]| RunPlan::temporary("python3", codes.iter().copied());
    let (outcome, executions) = run_plan(&place, plan(&[hook, "print('hi')"]), &[]);
    assert_eq!((outcome, executions), (says("hi\nbye\n", 0), 2));

    // The rest is skipped after a failure.
    let codes = [hook, "raise SystemExit(3)", "print('never')"];
    let (outcome, executions) = run_plan(&place, plan(&codes), &[]);
    assert_eq!((outcome, executions), (says("bye\n", 3), 2));

    // An interpreter that the program has ended has no hooks any more.
    let codes = [hook, "import os; os._exit(3)", "print('never')"];
    let (outcome, executions) = run_plan(&place, plan(&codes), &[]);
    assert_eq!((outcome, executions), (says("", 3), 2));
}

#[test]
fn files_that_run_last_leave_the_interpreter_to_be_ended() {
    let place = Place::start();
    let executions: [ExecuteMode; 2] = [
        "import atexit; atexit.register(print, 'bye')".into(),
        Batch::new().with_build("").with_exec("echo file").into(),
    ];
    let files = vec![UploadFile::from_bytes("main.py", "").unwrap()];
    let plan = RunPlan::temporary("python3", executions).with_files(files);
    let (outcome, executions) = run_plan(&place, plan, &[]);
    assert_eq!((outcome, executions), (says("file\nbye\n", 0), 2));
}

#[test]
fn languages_whose_snippets_are_programs_have_nothing_to_end() {
    if !need("gcc") {
        return;
    }
    let place = Place::start();
    let plan = RunPlan::temporary("c", ["int main(void) { return 3; }", "never"]);
    assert_eq!(run_plan(&place, plan, &[]), (says("", 3), 1));
}
