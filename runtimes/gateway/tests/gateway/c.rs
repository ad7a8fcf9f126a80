//! c kernels and batches, over a real socket.

use crate::common::{Client, gateway};
use sorna_core::{Batch, ExecutionStatus};

const MAIN: &[u8] = b"#include <stdio.h>\n#include \"lib/mylib.h\"\n\
    int main(void) { printf(\"myvalue is %d\\n\", myvalue()); return 3; }\n";
const LIB: &[u8] = b"#include \"mylib.h\"\nint myvalue(void) { return 42; }\n";
const HEADER: &[u8] = b"int myvalue(void);\n";

#[test]
fn a_snippet_is_compiled_and_run() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("c");
    let code = "#include <stdio.h>\n#include <math.h>\n\
        int main(void) { printf(\"%.1f\\n\", sqrt(2.25)); fprintf(stderr, \"e\\n\"); return 5; }";
    let outcome = client.run(&kernel, code);
    assert_eq!(outcome.exit_code(), Some(5));
    assert_eq!(outcome.finished(), ("1.5\n".to_owned(), "e\n".to_owned()));
    let outcome = client.run(&kernel, "int main(void) { return x; }");
    assert_eq!(outcome.exit_code(), Some(1));
    let (stdout, stderr) = outcome.finished();
    assert_eq!(stdout, "");
    assert!(
        stderr.contains("input.c:1") && stderr.contains("error"),
        "{stderr}"
    );
    let outcome = client.run(&kernel, "int main(void) { return *(volatile int *)0; }");
    assert_eq!(outcome.exit_code(), Some(139));
    assert_eq!(outcome.finished().1, "Segmentation fault\n");
}

#[test]
fn scanf_gets_input_after_its_prompt() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("c");
    let code = "#include <stdio.h>\nint main(void) { int a, b; printf(\"a? \"); scanf(\"%d\", &a);\n\
        printf(\"b? \"); scanf(\"%d\", &b); printf(\"%d\\n\", a + b); }";
    let asked = client.run(&kernel, code);
    assert_eq!((asked.asks(), asked.stdout.as_str()), (Some(false), "a? "));
    let asked = client.input(&kernel, "20");
    assert_eq!((asked.asks(), asked.stdout.as_str()), (Some(false), "b? "));
    assert_eq!(client.input(&kernel, "22\n").finished().0, "42\n");
}

#[test]
fn a_batch_builds_all_files_and_runs() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("c");
    let files = [
        ("main.c", MAIN),
        ("lib/mylib.c", LIB),
        ("lib/mylib.h", HEADER),
    ];
    client.upload(&kernel, &files).unwrap();
    for _ in 0..2 {
        let (statuses, outcome) = client.batch(&kernel, Batch::new());
        assert_eq!(
            statuses,
            [ExecutionStatus::BuildFinished, ExecutionStatus::Finished]
        );
        assert_eq!(outcome.exit_code(), Some(3));
        assert_eq!(outcome.last.as_ref().unwrap().step(), Some("exec"));
        assert_eq!(
            outcome.finished(),
            ("myvalue is 42\n".to_owned(), String::new())
        );
    }
}

#[test]
fn a_failed_build_ends_the_batch() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("c");
    client
        .upload(
            &kernel,
            &[("main.c", b"int main(void) { return nothing; }")],
        )
        .unwrap();
    let (statuses, outcome) = client.batch(&kernel, Batch::new());
    assert_eq!(statuses, [ExecutionStatus::Finished]);
    assert_eq!(outcome.exit_code(), Some(1));
    assert_eq!(outcome.last.as_ref().unwrap().step(), Some("build"));
    assert!(outcome.finished().1.contains("main.c:1"));
}

#[test]
fn steps_may_be_any_command() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    client
        .upload(
            &kernel,
            &[("main.py", b"import sys\nprint(input('? ')); sys.exit(4)")],
        )
        .unwrap();
    let build = Batch::new()
        .with_build("echo built > made; echo log; exit 0")
        .with_exec("cat made; echo done >&2; exit 9");
    let (statuses, outcome) = client.batch(&kernel, build);
    assert_eq!(
        statuses,
        [ExecutionStatus::BuildFinished, ExecutionStatus::Finished]
    );
    assert_eq!(outcome.exit_code(), Some(9));
    assert_eq!(
        outcome.finished(),
        ("log\nbuilt\n".to_owned(), "done\n".to_owned())
    );

    let logged = Batch::new()
        .with_build("echo *.py")
        .with_build_log(true)
        .with_exec("true");
    let (_, outcome) = client.batch(&kernel, logged);
    let log = "+ echo main.py\n".to_owned();
    assert_eq!(outcome.finished(), ("main.py\n".to_owned(), log));

    let only_build = Batch::new().with_build("true").without_exec();
    let (statuses, outcome) = client.batch(&kernel, only_build);
    assert_eq!(
        statuses,
        [ExecutionStatus::BuildFinished, ExecutionStatus::Finished]
    );
    assert_eq!(
        (outcome.exit_code(), outcome.last.unwrap().step()),
        (Some(0), Some("build"))
    );

    let nothing = Batch::new().without_build().without_exec();
    let (statuses, outcome) = client.batch(&kernel, nothing);
    assert_eq!(statuses, [ExecutionStatus::Finished]);
    assert_eq!(outcome.exit_code(), None);

    // The default batch of python3 has no build; its program may ask for input.
    let (statuses, outcome) = client.batch(&kernel, Batch::new());
    assert_eq!(statuses, [ExecutionStatus::WaitingInput]);
    assert_eq!(outcome.stdout, "? ");
    let outcome = client.input(&kernel, "yes");
    assert_eq!(outcome.exit_code(), Some(4));
    assert_eq!(outcome.finished().0, "yes\n");
    // None of this affects the interpreter.
    assert_eq!(
        client.run(&kernel, "print('still here')").finished().0,
        "still here\n"
    );
}
