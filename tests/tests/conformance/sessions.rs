//! Kernels as sessions: names, lists, interrupts, logs and events.

use sorna::{
    AbortReason, ApiVersion, Batch, BuildError, Error, ExecuteMode, KernelId, KernelSpec,
    ListSessions, SessionEvent, SessionToken, SubscribeEvents, UploadFile,
};
use sorna_tests::drivers::{SessionDriver, StopProgram};

use crate::lab::{Check, Lab};

/// Two names that begin alike, and like no others.
fn names() -> [SessionToken; 2] {
    let random = sorna::random_token();
    let common: String = random.as_str().chars().take(12).collect();
    ["a", "b"].map(|end| SessionToken::new(format!("t{common}{end}")).expect("a name"))
}

fn named(name: &SessionToken) -> KernelId {
    KernelId::new(name.as_str()).expect("an ID")
}

async fn stdout<D: SessionDriver>(lab: &Lab<D>, kernel: &KernelId, code: &str) -> String {
    lab.run(kernel, code).await.console.stdout().into_owned()
}

pub(crate) fn several_by_name<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [first, second] = names();
        let one = lab.kernel_named("python3", first.clone()).await;
        let two = lab.kernel_named("python3", second.clone()).await;
        assert_ne!(one, two);
        // By ID or by name is the same.
        lab.run(&one, "x = 1").await;
        lab.run(&named(&second), "x = 2").await;
        assert_eq!(stdout(lab, &named(&first), "print(x)").await, "1\n");
        assert_eq!(stdout(lab, &two, "print(x)").await, "2\n");
        lab.destroy(one).await;
        if lab.ends_at_once() {
            let again = lab.driver.execute(named(&first), "print(x)".into(), &[]);
            let error = again.await.expect_err("it is gone");
            assert!(error.is_not_found(), "{error}");
        }
        assert_eq!(stdout(lab, &named(&second), "print(x)").await, "2\n");
        lab.destroy(two).await;
    })
}

pub(crate) fn names_are_reused_if_the_caller_agrees<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [name, _] = names();
        let kernel = lab.kernel_named("python3", name.clone()).await;
        let spec = || KernelSpec::new(lab.image("python3"));
        let same = lab.driver.get_or_create(spec(), name.clone()).await;
        assert_eq!(same.expect("the same kernel"), kernel);
        for spec in [spec().with_reuse(false), KernelSpec::new(lab.image("c"))] {
            let refused = lab.driver.get_or_create(spec, name.clone()).await;
            let error = refused.expect_err("the name is taken");
            let is_taken = error.gateway().is_some_and(|error| error.is_name_taken());
            assert!(is_taken, "{error}");
        }
        lab.destroy(kernel.clone()).await;
        let next = lab.kernel_of(spec().with_reuse(false), name).await;
        assert_ne!(next, kernel);
        lab.destroy(next).await;
    })
}

pub(crate) fn lists_and_finds<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [first, second] = names();
        let one = lab.kernel_named("python3", first.clone()).await;
        let two = lab.kernel_named("python3", second.clone()).await;
        let keys = lab.config.credentials().expect("keys");
        let mine = || ListSessions::living().with_owner(keys.access_key().as_str());
        // With one session in a page, too.
        for list in [mine(), mine().with_limit(1)] {
            let found = lab.driver.list(list).await.expect("a list");
            for (id, name) in [(&one, &first), (&two, &second)] {
                let of_name: Vec<_> = found
                    .iter()
                    .filter(|session| session.name == name.as_str())
                    .collect();
                assert_eq!(of_name.len(), 1, "{found:?}");
                assert_eq!((&of_name[0].id, &*of_name[0].status), (id, "RUNNING"));
            }
        }
        let common = first.as_str().trim_end_matches('a');
        let (start, _) = two.as_str().split_at(13);
        for (text, expected) in [
            (first.as_str(), vec![&one]),
            (common, vec![&one, &two]),
            (two.as_str(), vec![&two]),
            (start, vec![&two]),
            ("no such session", vec![]),
        ] {
            let found = lab.driver.find(text).await.expect("a list");
            let mut ids: Vec<_> = found.iter().map(|session| &session.id).collect();
            ids.sort_by_key(|id| *id != &one);
            assert_eq!(ids, expected, "{text}");
        }
        lab.destroy(one.clone()).await;
        let mut found = lab.driver.find(common).await.expect("a list");
        if !lab.ends_at_once() {
            found.retain(|session| session.id != one || session.status != "TERMINATING");
        }
        let ids: Vec<_> = found.iter().map(|session| &session.id).collect();
        assert_eq!(ids, [&two]);
        lab.destroy(two).await;
    })
}

pub(crate) fn renames<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [first, second] = names();
        let kernel = lab.kernel_named("python3", first.clone()).await;
        lab.run(&kernel, "x = 1").await;
        let renamed = lab.driver.rename(named(&first), second.clone()).await;
        renamed.expect("another name");
        for id in [&kernel, &named(&second)] {
            assert_eq!(stdout(lab, id, "print(x)").await, "1\n");
        }
        let former = lab.driver.call(sorna::protocol::Info::new(named(&first)));
        assert!(former.await.expect_err("no name").is_not_found());
        // It is free for others, and the other one is not. Manager 23.09.10 keeps the former name in the session's kernel,
        // and fails to create a session of that name.
        let is_free = lab.gateway().is_some() || lab.version >= ApiVersion::V9_20250722;
        let [unused, _] = names();
        let first = if is_free { first } else { unused };
        let other = lab.kernel_named("python3", first.clone()).await;
        assert_ne!(other, kernel);
        let error = lab.driver.rename(other.clone(), second).await;
        let error = error.expect_err("the name is taken");
        let is_taken = matches!(&error, Error::Build(BuildError::SessionNameInUse { .. }))
            || error.gateway().is_some_and(|error| error.is_name_taken());
        assert!(is_taken, "{error}");
        assert_eq!(stdout(lab, &named(&first), "print(1)").await, "1\n");
        for kernel in [kernel, other] {
            lab.destroy(kernel).await;
        }
    })
}

/// Prints something and does not end by itself.
const ENDLESS: &str = "import time\nprint('on', flush=True)\ntime.sleep(1000)";

pub(crate) fn interrupts_keep_the_state<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "x = 41").await;
        let executed = lab
            .driver
            .execute_and(StopProgram::Interrupt, kernel.clone(), ENDLESS.into())
            .await
            .expect("it ends");
        let console = executed.result.console;
        assert_eq!(console.stdout(), "on\n");
        assert!(
            console.stderr().contains("KeyboardInterrupt"),
            "{console:?}"
        );
        assert_eq!(stdout(lab, &kernel, "print(x + 1)").await, "42\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn programs_that_are_given_up_free_the_kernel<D: SessionDriver>(
    lab: &Lab<D>,
) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "x = 41").await;
        let file = UploadFile::from_bytes("endless.py", ENDLESS).expect("a file");
        let uploaded = lab.driver.upload(kernel.clone(), vec![file]).await;
        uploaded.expect("uploaded");
        let batch = |command| Batch::new().without_build().with_exec(command);
        let mut modes: Vec<ExecuteMode> = vec![ENDLESS.into(), batch("python3 endless.py").into()];
        // A manager interrupts the shell, which does not pass that on to a program that it waits for.
        if lab.gateway().is_some() {
            modes.push(batch("echo on; sleep 1000").into());
        }
        for mode in modes {
            // In manager 23.09.10, an exception in a query is no failure.
            let may_succeed = matches!(mode, ExecuteMode::Query { .. })
                && lab.gateway().is_none()
                && lab.version < ApiVersion::V9_20250722;
            let given_up = lab
                .driver
                .execute_and(StopProgram::GiveUp, kernel.clone(), mode)
                .await;
            match given_up {
                // The interrupt ended the program.
                Ok(executed) => {
                    let result = executed.result;
                    assert!(may_succeed || result.exit_code() != Some(0), "{result:?}");
                    let stderr = result.console.stderr();
                    assert!(
                        !may_succeed || stderr.contains("KeyboardInterrupt"),
                        "{result:?}"
                    );
                }
                Err(Error::Aborted(aborted)) => {
                    assert!(matches!(aborted.reason, AbortReason::GivenUp));
                    assert!(aborted.is_freed);
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(stdout(lab, &kernel, "print(x + 1)").await, "42\n");
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn logs<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "print('a line of output')").await;
        let logs = lab.driver.logs(kernel.clone()).await.expect("logs");
        // Our gateway has no containers, and shows what programs wrote.
        if lab.gateway().is_some() {
            assert!(logs.contains("a line of output\n"), "{logs}");
        }
        // Those of a session that has ended can be read by its ID, too. While a manager ends it, its agent has none.
        lab.destroy(kernel.clone()).await;
        if !lab.ends_at_once() {
            lab.gone(&kernel).await;
        }
        let last = lab.driver.logs(kernel).await.expect("logs");
        if lab.gateway().is_some() {
            assert_eq!(last, logs);
        }
    })
}

pub(crate) fn status_history<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let history = lab.driver.status_history(kernel.clone()).await;
        let history = history.expect("a history");
        let statuses: Vec<_> = history.iter().map(|change| &*change.status).collect();
        assert_eq!(statuses.first(), Some(&"PENDING"), "{statuses:?}");
        assert_eq!(statuses.last(), Some(&"RUNNING"), "{statuses:?}");
        let times: Vec<_> = history.iter().map(|change| &change.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        lab.destroy(kernel).await;
    })
}

/// The names of a session's events, until one is as wanted.
async fn until<D: SessionDriver>(
    events: &mut D::Events,
    name: &SessionToken,
    is_wanted: fn(&SessionEvent) -> bool,
) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let event = D::next_event(events).await.expect("an event");
        let event = event.expect("the gateway does not end the stream");
        if event.session_name.as_deref() != Some(name.as_str()) {
            continue;
        }
        names.push(event.name.clone());
        if is_wanted(&event) {
            return names;
        }
    }
}

pub(crate) fn events_of_all<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [first, second] = names();
        let mut events = lab
            .driver
            .events(SubscribeEvents::new())
            .await
            .expect("events");
        let one = lab.kernel_named("python3", first.clone()).await;
        let started = until::<D>(&mut events, &first, SessionEvent::is_started).await;
        assert!(started.len() > 1, "{started:?}");
        let two = lab.kernel_named("python3", second.clone()).await;
        until::<D>(&mut events, &second, SessionEvent::is_started).await;
        lab.destroy(one).await;
        let ended = until::<D>(&mut events, &first, SessionEvent::is_terminated).await;
        assert_eq!(ended.last().map(String::as_str), Some("session_terminated"));
        lab.destroy(two).await;
        until::<D>(&mut events, &second, SessionEvent::is_terminated).await;
    })
}

pub(crate) fn events_of_one<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let [first, second] = names();
        let one = lab.kernel_named("python3", first).await;
        let two = lab.kernel_named("python3", second.clone()).await;
        let events = lab.driver.events_of(two.clone()).await;
        let mut events = events.expect("events");
        lab.destroy(one).await;
        lab.destroy(two.clone()).await;
        loop {
            let event = D::next_event(&mut events).await.expect("an event");
            let event = event.expect("the gateway does not end the stream");
            assert_eq!(event.session_id.as_deref(), Some(two.as_str()), "{event:?}");
            if event.is_terminated() {
                break;
            }
        }
        // Its last event may come before its end.
        if !lab.ends_at_once() {
            lab.gone(&two).await;
        }
        for gone in [two, named(&second)] {
            let events = lab.driver.events_of(gone).await;
            assert!(events.err().expect("it is gone").is_not_found());
        }
    })
}

pub(crate) fn environment<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let spec = KernelSpec::new(lab.image("python3")).with_env("GREETING", "héllo 'world'");
        let kernel = lab.kernel_of(spec, sorna::random_token()).await;
        let code = "import os; print(os.environ['GREETING'])";
        assert_eq!(stdout(lab, &kernel, code).await, "héllo 'world'\n");
        let batch = Batch::new().without_build().with_exec("echo \"$GREETING\"");
        let executed = lab.driver.execute(kernel.clone(), batch.into(), &[]).await;
        let console = executed.expect("it runs").result.console;
        assert_eq!(console.stdout(), "héllo 'world'\n");
        lab.destroy(kernel).await;
    })
}
