//! Executions: every status, every kind of output.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sorna::{
    Batch, Dialect, Error, Exchange, ExecutionEvent, ExecutionStatus, KernelSpec, Limits, Observer,
    Record, UploadFile, UsageError,
};

use crate::lab::{Check, Feature, Lab};
use sorna_tests::drivers::Driver;

pub(crate) fn state_and_order<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let result = lab.run(&kernel, "x = 41").await;
        assert_eq!(result.status, ExecutionStatus::Finished);
        assert!(result.console.is_empty());
        let code = "import sys\nprint(x + 1)\nprint('err', file=sys.stderr)\nprint('end')";
        let result = lab.run(&kernel, code).await;
        if lab.gateway().is_none() && lab.dialect() == Dialect::BackendAi {
            // Managers join what a program writes to one stream, whatever it wrote to the other in between.
            assert_eq!(result.console.stdout(), "42\nend\n");
            assert_eq!(result.console.stderr(), "err\n");
            return lab.destroy(kernel).await;
        }
        let records: Vec<_> = result.console.iter().collect();
        assert_eq!(
            records,
            [
                Record::Stdout("42\n".into()),
                Record::Stderr("err\n".into()),
                Record::Stdout("end\n".into())
            ]
        );
        lab.destroy(kernel).await;
    })
}

pub(crate) fn unicode<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let text = "한글 é 😀 \u{202e}\u{0}\u{7f}\\ \"'";
        let code = format!("print({text:?}.replace('{{', ''))")
            .replace("\\u{0}", "\\0")
            .replace("\\u{7f}", "\\x7f")
            .replace("\\u{202e}", "\\u202e");
        let result = lab.run(&kernel, &code).await;
        assert_eq!(result.console.stdout(), format!("{text}\n"));
        lab.destroy(kernel).await;
    })
}

pub(crate) fn exceptions<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "x = 1").await;
        let result = lab.run(&kernel, "x / 0").await;
        assert_eq!(result.status, ExecutionStatus::Finished);
        assert!(result.console.stderr().contains("ZeroDivisionError"));
        assert_eq!(lab.run(&kernel, "print(x)").await.console.stdout(), "1\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn input<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "a = input('a? ')\nb = input()\nprint([a, b])";
        let executed = lab
            .driver
            .execute(kernel.clone(), code.into(), &["é 1", ""])
            .await;
        let executed = executed.expect("it runs");
        assert_eq!(executed.passwords, [false, false]);
        assert_eq!(executed.result.console.stdout(), "a? ['é 1', '']\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn password<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "import getpass\nprint(len(getpass.getpass('pw? ')))";
        let executed = lab
            .driver
            .execute(kernel.clone(), code.into(), &["hunter2"])
            .await;
        let executed = executed.expect("it runs");
        assert_eq!(executed.passwords, [true]);
        assert!(executed.result.console.stdout().ends_with("7\n"));
        lab.destroy(kernel).await;
    })
}

pub(crate) fn continued<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "import time\nprint('a', flush=True)\ntime.sleep(3)\nprint('b')";
        let executed = lab.driver.execute(kernel.clone(), code.into(), &[]).await;
        let executed = executed.expect("it runs");
        assert_eq!(executed.result.console.stdout(), "a\nb\n");
        assert!(executed.pieces >= 2, "output comes as it is written");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn exec_timeout<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let limits = Limits::new().with_exec_timeout(Duration::from_millis(1500));
        let spec = KernelSpec::new(lab.image("python3")).with_limits(limits);
        let kernel = lab.kernel_of(spec, sorna::random_token()).await;
        let result = lab.run(&kernel, "while True: pass").await;
        assert_eq!(result.status, ExecutionStatus::ExecTimeout);
        assert_eq!(lab.run(&kernel, "print(1)").await.console.stdout(), "1\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn one_mebibyte_of_output<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "for i in range(1 << 14): print(f'{i:063}')";
        let result = lab.run(&kernel, code).await;
        let stdout = result.console.stdout();
        assert_eq!(stdout.len(), 1 << 20);
        assert!(
            stdout
                .lines()
                .enumerate()
                .all(|(i, line)| line == format!("{i:063}"))
        );
        lab.destroy(kernel).await;
    })
}

pub(crate) fn sixty_four_at_once<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let mut kernels = Vec::new();
        for _ in 0..64 {
            kernels.push(lab.kernel("bash").await);
        }
        let results = lab
            .driver
            .execute_all(kernels.clone(), "echo $((6 * 7))")
            .await;
        for result in results {
            assert_eq!(result.expect("it runs").result.console.stdout(), "42\n");
        }
        for kernel in kernels {
            lab.destroy(kernel).await;
        }
    })
}

fn file(name: &str, content: &str) -> UploadFile {
    UploadFile::from_bytes(name, content.to_owned()).expect("a file")
}

/// What builds and runs the C files of a kernel.
fn c_program<D: Driver>(lab: &Lab<D>) -> Batch {
    if lab.offers(Feature::DefaultSteps) {
        return Batch::new();
    }
    Batch::new()
        .with_build("gcc *.c -o program")
        .with_exec("./program")
}

pub(crate) fn batch_with_three_files<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("c").await;
        let files = vec![
            file(
                "main.c",
                "#include <stdio.h>\n#include \"mylib.h\"\nint main(void) { printf(\"myvalue is %d\\n\", myvalue()); }\n",
            ),
            file(
                "mylib.c",
                "#include \"mylib.h\"\nint myvalue(void) { return 42; }\n",
            ),
            file("mylib.h", "int myvalue(void);\n"),
        ];
        lab.driver
            .upload(kernel.clone(), files)
            .await
            .expect("uploaded");
        let executed = lab
            .driver
            .execute(kernel.clone(), c_program(lab).into(), &[])
            .await;
        let executed = executed.expect("it runs");
        assert!(
            executed
                .steps
                .iter()
                .any(|(status, _)| *status == ExecutionStatus::BuildFinished),
            "{executed:?}"
        );
        assert_eq!(executed.result.console.stdout(), "myvalue is 42\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn build_failure<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("c").await;
        let files = vec![file("main.c", "int main(void) { return nothing; }\n")];
        lab.driver
            .upload(kernel.clone(), files)
            .await
            .expect("uploaded");
        let executed = lab
            .driver
            .execute(kernel.clone(), c_program(lab).into(), &[])
            .await;
        let executed = executed.expect("it runs");
        let result = &executed.result;
        assert!(result.console.stderr().contains("nothing"), "{result:?}");
        if lab.offers(Feature::ExitCodes) {
            match lab.dialect() {
                Dialect::SornaV2 => assert_eq!(
                    (result.exit_code(), result.step()),
                    (Some(1), Some("build"))
                ),
                // The batch ends with 127, whatever the build did.
                _ => {
                    assert_eq!(result.exit_code(), Some(127));
                    let built = (ExecutionStatus::BuildFinished, Some(1));
                    assert!(executed.steps.contains(&built), "{executed:?}");
                }
            }
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn exit_codes<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        for code in [0, 3, 255] {
            let batch = Batch::new()
                .without_build()
                .with_exec(format!("exit {code}"));
            let executed = lab.driver.execute(kernel.clone(), batch.into(), &[]).await;
            assert_eq!(executed.expect("it runs").result.exit_code(), Some(code));
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn run_to_the_end<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "import sys\nprint(6 * 7)\nprint('no', file=sys.stderr)";
        let result = lab.driver.run_code(kernel.clone(), code).await;
        let result = result.expect("it runs");
        assert_eq!((&*result.stdout(), &*result.stderr()), ("42\n", "no\n"));
        assert_eq!(result.status, ExecutionStatus::Finished);

        // More than one response contains.
        let code = "import time\nfor n in range(3): print(n, flush=True); time.sleep(1.2)";
        let result = lab.driver.run_code(kernel.clone(), code).await;
        assert_eq!(result.expect("it runs").stdout(), "0\n1\n2\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn run_stops_programs_that_ask_for_input<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "open('kept', 'w').write('yes'); x = input('? ')";
        let result = lab.driver.run_code(kernel.clone(), code).await;
        let error = result.expect_err("there is nothing to answer");
        assert!(
            matches!(error, Error::Usage(UsageError::InputUnavailable)),
            "{error:?}"
        );
        // The next code runs as code again.
        let code = "print(open('kept').read(), 'x' in globals())";
        let result = lab.driver.run_code(kernel.clone(), code).await;
        assert_eq!(result.expect("it runs").stdout(), "yes False\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn input_in_a_batch<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let files = vec![file(
            "main.py",
            "name = input('name? ')\nprint('hi', name)\n",
        )];
        lab.driver
            .upload(kernel.clone(), files)
            .await
            .expect("uploaded");
        let batch = Batch::new().without_build().with_exec("python3 main.py");
        let executed = lab
            .driver
            .execute(kernel.clone(), batch.into(), &["é 1"])
            .await;
        let executed = executed.expect("it runs");
        assert_eq!(executed.passwords, [false]);
        assert_eq!(executed.result.console.stdout(), "name? hi é 1\n");
        lab.destroy(kernel).await;
    })
}

/// Steps with output and exit codes of their own, also if they end before the client asks for them.
pub(crate) fn both_steps_of_a_batch<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        for pause in ["0", "0.3"] {
            let batch = Batch::new()
                .with_build(format!("echo built; sleep {pause}"))
                .with_exec(format!("echo ran; echo no >&2; sleep {pause}; exit 3"));
            let executed = lab.driver.execute(kernel.clone(), batch.into(), &[]).await;
            let executed = executed.expect("it runs");
            let console = &executed.result.console;
            assert_eq!(console.stdout(), "built\nran\n");
            assert_eq!(console.stderr(), "no\n");
            assert_eq!(executed.steps, [(ExecutionStatus::BuildFinished, Some(0))]);
            assert_eq!(executed.result.exit_code(), Some(3));
            // What follows a batch is not taken for a part of it.
            assert_eq!(lab.run(&kernel, "print('x')").await.console.stdout(), "x\n");
        }
        lab.destroy(kernel).await;
    })
}

/// The program continues only when its output so far was reported.
pub(crate) fn as_it_is_written<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let observer = Observer::new(move |exchange: &Exchange<'_>| {
            let kind = match exchange.target.ends_with("/execute") {
                true => "WebSocket",
                false => exchange.method.as_str(),
            };
            if exchange.target.len() > "/v2".len() {
                seen.lock().expect("no panic inside").push(kind.to_owned());
            }
        });
        let driver = D::connect(lab.config.clone(), lab.options().with_observer(observer));
        let kernel = lab.kernel("python3").await;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let code = format!(
            "import socket\nfor text in 'ab':\n    print(text, flush=True)\n    \
             socket.create_connection(('127.0.0.1', {port})).recv(1)\nprint('c')"
        );
        let mut output = Vec::new();
        let followed = driver.follow(kernel.clone(), code.into(), |event| {
            if let ExecutionEvent::Console(console) = event {
                output.push(console.stdout().into_owned());
                if output.len() < 3 {
                    let (mut program, _) = listener.accept().expect("it waits");
                    program.write_all(b"x").expect("it waits");
                }
            }
        });
        followed.await.expect("it runs");
        assert_eq!(output, ["a\n", "b\n", "c\n"]);
        let requests = requests.lock().expect("no panic inside").clone();
        if lab.streams() {
            assert_eq!(requests, ["WebSocket"]);
        } else {
            assert!(requests.len() >= 3, "{requests:?}");
            assert!(requests.iter().all(|kind| kind == "POST"), "{requests:?}");
        }
        lab.destroy(kernel).await;
    })
}
