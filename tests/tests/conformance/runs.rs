//! Whole runs, and how they end. After every check, no kernel may be left.

use sorna::{Batch, Cleanup, Dialect, Ending, ExecuteMode, RunPlan, UploadFile};

use crate::lab::{Check, Lab};
use sorna_tests::drivers::{Driver, Stop};

fn plan<D: Driver>(lab: &Lab<D>, lang: &str, executions: Vec<ExecuteMode>) -> RunPlan {
    RunPlan::temporary(lab.image(lang), executions)
}

pub(crate) fn to_the_end<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let batch = Batch::new().without_build().with_exec("cat hello.txt");
        let file = UploadFile::from_bytes("hello.txt", "hello\n").expect("a file");
        let executions = vec![batch.into(), "print('again')".into()];
        let plan = plan(lab, "python3", executions).with_files(vec![file]);
        let (report, output) = lab.driver.run(plan, Stop::Not).await.expect("a report");
        assert_eq!(output, "hello\nagain\n");
        assert!(
            matches!(report.ending, Ending::Finished(Some(_))),
            "{report:?}"
        );
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

/// Each of these runs ends before its end is asked for, and after.
pub(crate) fn both_steps_of_a_batch<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        for (built, pause, code, expected) in [
            (0, "0", 3, "built\nran\n"),
            (0, "0.3", 0, "built\nran\n"),
            (5, "0", 0, "built\n"),
        ] {
            let batch = Batch::new()
                .with_build(format!("echo built; sleep {pause}; exit {built}"))
                .with_exec(format!("echo ran; sleep {pause}; exit {code}"));
            let plan = plan(lab, "python3", vec![batch.into()]);
            let (report, output) = lab.driver.run(plan, Stop::Not).await.expect("a report");
            assert_eq!(output, expected);
            let Ending::Finished(Some(result)) = &report.ending else {
                panic!("{report:?}");
            };
            // In Backend.AI, a batch whose build has failed ends with 127.
            let end = match (built, lab.dialect()) {
                (0, _) => code,
                (_, Dialect::SornaV2) => built,
                _ => 127,
            };
            assert_eq!(result.exit_code(), Some(end));
            assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
        }
    })
}

pub(crate) fn failed_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let long = ExecuteMode::query("#".repeat(1 << 20));
        let plan = plan(lab, "python3", vec![long]);
        let (report, _) = lab.driver.run(plan, Stop::Not).await.expect("a report");
        assert!(matches!(report.ending, Ending::Failed(_)), "{report:?}");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

/// A program that prints something and then does not end.
fn endless<D: Driver>(lab: &Lab<D>) -> RunPlan {
    let code = "import time\nprint('on', flush=True)\ntime.sleep(1000)";
    plan(lab, "python3", vec![code.into()])
}

pub(crate) fn cancelled_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let (report, output) = lab
            .driver
            .run(endless(lab), Stop::Cancel)
            .await
            .expect("a report");
        assert_eq!(output, "on\n");
        assert!(matches!(report.ending, Ending::Cancelled), "{report:?}");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

pub(crate) fn dropped_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        assert!(lab.driver.run(endless(lab), Stop::Drop).await.is_none());
    })
}
