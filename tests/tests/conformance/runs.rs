//! Whole runs, and how they end. After every check, no kernel may be left.

use sorna::{Batch, Cleanup, Ending, ExecuteMode, RunPlan, UploadFile};

use crate::lab::{Check, Lab};
use sorna_tests::drivers::{Driver, Stop};

fn plan(lang: &str, executions: Vec<ExecuteMode>) -> RunPlan {
    RunPlan::temporary(lang, executions)
}

pub(crate) fn to_the_end<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let batch = Batch::new().without_build().with_exec("cat hello.txt");
        let file = UploadFile::from_bytes("hello.txt", "hello\n").expect("a file");
        let plan = plan("bash", vec![batch.into(), "echo again".into()]).with_files(vec![file]);
        let (report, output) = lab.driver.run(plan, Stop::Not).await.expect("a report");
        assert_eq!(output, "hello\nagain\n");
        assert!(
            matches!(report.ending, Ending::Finished(Some(_))),
            "{report:?}"
        );
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

pub(crate) fn failed_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let long = ExecuteMode::query("#".repeat(1 << 20));
        let plan = plan("python3", vec![long]);
        let (report, _) = lab.driver.run(plan, Stop::Not).await.expect("a report");
        assert!(matches!(report.ending, Ending::Failed(_)), "{report:?}");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

/// A program that prints something and then does not end.
fn endless() -> RunPlan {
    let code = "import time\nprint('on', flush=True)\ntime.sleep(1000)";
    plan("python3", vec![code.into()])
}

pub(crate) fn cancelled_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let (report, output) = lab
            .driver
            .run(endless(), Stop::Cancel)
            .await
            .expect("a report");
        assert_eq!(output, "on\n");
        assert!(matches!(report.ending, Ending::Cancelled), "{report:?}");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    })
}

pub(crate) fn dropped_run_cleans_up<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        assert!(lab.driver.run(endless(), Stop::Drop).await.is_none());
    })
}
