//! What an interrupt does to the only snippet of a kernel.

use sorna::{Ending, ExecutionEvent, RunEvent, RunPlan};
use sorna_test_tools::need;

use crate::home;
use crate::kernel::Place;

/// Programs that say `begun`, what they print after an interrupt, and their exit codes.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, i64)] = &[
    ("nodejs", "console.log('begun'); for (;;);", "Interrupted\n", 130),
    ("nodejs", "process.on('exit', () => console.log('never')); console.log('begun'); setInterval(() => {}, 10)", "Interrupted\n", 130),
    ("nodejs", "console.log('begun'); (async () => { for (;;) await null })()", "Interrupted\n", 130),
    ("nodejs", "console.log('begun'); require('child_process').spawn('sleep', ['1000'], { stdio: 'inherit' })", "Interrupted\n", 130),
    ("nodejs", "process.on('SIGINT', () => { console.log('own'); process.exit(9) }); console.log('begun'); setInterval(() => {}, 10)", "own\n", 9),
    ("nodejs", "process.once('SIGINT', () => { console.log('once'); clearInterval(t) }); const t = setInterval(() => {}, 10); console.log('begun')", "once\n", 0),
];

#[test]
fn interrupts_end_programs_as_at_home() {
    for place in [Place::start(), Place::with_backend_ai()] {
        for (language, program, shown, exit_code) in ROWS {
            if !need(home::command(language)[0]) {
                continue;
            }
            let mut run = place.client.run(RunPlan::temporary(*language, [*program]));
            let (mut kernel, mut text) = (None, String::new());
            while let Some(event) = run.next_event().unwrap() {
                match event {
                    RunEvent::KernelReady(id) => kernel = Some(place.client.kernel(id)),
                    RunEvent::Execution(ExecutionEvent::Console(console)) => {
                        text += &console.stdout();
                        text += &console.stderr();
                        // Once, though there may be events without text.
                        if text == "begun\n"
                            && let Some(kernel) = kernel.take()
                        {
                            kernel.interrupt().unwrap();
                        }
                    }
                    _ => {}
                }
            }
            let report = run.into_report().unwrap();
            assert_eq!(text, format!("begun\n{shown}"), "{program}");
            let Ending::Finished(Some(last)) = report.ending else {
                panic!("{program}: {report:?}")
            };
            assert_eq!(last.exit_code(), Some(*exit_code), "{program}");
        }
    }
}
