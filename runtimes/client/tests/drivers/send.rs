//! All futures and handles of the async client can go to another thread, whatever the runtime; so
//! can the blocking client's handles.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

use std::fmt::Debug;

use sorna::net::Transport;
use sorna::protocol::{CreateKernel, Info};
use sorna::{
    Canceller, Client, Execution, Kernel, KernelId, ListSessions, Run, RunPlan, SubscribeEvents,
    TemporaryKernel, TerminalOptions,
};

fn send<T: Send>(value: T) -> T {
    value
}

fn send_and_sync<T: Send + Sync>() {}

/// Never called: compiling it is the test.
macro_rules! all_futures_are_send {
    ($name:ident, $module:ident) => {
        #[expect(dead_code, reason = "that it compiles is the test")]
        async fn $name(client: sorna::$module::Client, id: KernelId, create: CreateKernel) {
            let _ = send(client.negotiated()).await;
            let _ = send(client.version()).await;
            let _ = send(client.authorize("")).await;
            let _ = send(client.get_or_create("", &create.token)).await;
            let _ = send(client.create("")).await;
            let _ = send(client.call(Info::new(id.clone()))).await;
            if let Ok(mut response) = send(client.stream(Info::new(id.clone()))).await {
                let _ = send(response.chunk()).await;
            }
            let kernel = client.kernel(id);
            let _ = send(client.temporary("")).await;
            let _ = send(kernel.run("")).await;
            let _ = send(kernel.info()).await;
            let _ = send(kernel.restart()).await;
            let _ = send(kernel.destroy()).await;
            let _ = send(kernel.complete("")).await;
            let _ = send(kernel.upload(Vec::new())).await;
            let _ = send(kernel.upload_with(Vec::new(), |_| ())).await;
            let _ = send(client.list(ListSessions::living())).await;
            let _ = send(client.find("")).await;
            let _ = send(kernel.list_files("")).await;
            let _ = send(kernel.logs()).await;
            let _ = send(send(kernel.follow_logs()).next_part()).await;
            let _ = send(kernel.interrupt()).await;
            let _ = send(kernel.rename(create.token.clone())).await;
            let _ = send(kernel.status_history()).await;
            let mut download = send(kernel.download([""]));
            let _ = send(download.next_event()).await;
            let _ = send(download.save_to("")).await;
            let _ = send(client.events(SubscribeEvents::new())).await;
            if let Ok(mut events) = send(kernel.events()).await {
                let _ = send(events.next_event()).await;
            }
            let mut execution = send(kernel.execute(""));
            let _ = send(execution.next_event()).await;
            let _ = send(execution.finish()).await;
            let mut run = send(client.run(RunPlan::temporary(create.spec, [""; 0])));
            let _ = send(run.canceller().cancel()).await;
            let _ = send(run.next_event()).await;
            if let Ok(mut pty) = send(kernel.stream_pty(TerminalOptions::default())).await {
                let _ = send(pty.write(b"")).await;
                let _ = send(pty.next_event()).await;
                let (mut reader, mut writer) = send(pty).split();
                let _ = send(reader.next_event()).await;
                let _ = send(writer.close()).await;
            }
        }
    };
}

all_futures_are_send!(on_tokio, tokio);
all_futures_are_send!(on_smol, smol);
all_futures_are_send!(on_async_std, async_std);

#[test]
fn handles_are_send_and_sync() {
    type T = sorna::tokio::Transport;
    send_and_sync::<Client<T>>();
    send_and_sync::<Kernel<T>>();
    send_and_sync::<Canceller<T>>();
    send_and_sync::<Execution<T>>();
    send_and_sync::<Run<T>>();
    send_and_sync::<TemporaryKernel<T>>();
    send_and_sync::<sorna::blocking::Client>();
    send_and_sync::<sorna::blocking::Kernel>();
    send_and_sync::<sorna::blocking::Canceller>();
    send_and_sync::<sorna::blocking::Execution>();
    send_and_sync::<sorna::blocking::Run>();
    send_and_sync::<sorna::blocking::TemporaryKernel>();
    fn is_send<T: Send>() {}
    is_send::<sorna::blocking::Pty>();
}

/// Never called: compiling it is the test.
#[expect(dead_code, reason = "that it compiles is the test")]
fn handles_can_be_debugged_over_any_transport<T: Transport + 'static>() {
    fn debug<T: Debug>() {}
    debug::<Client<T>>();
    debug::<Kernel<T>>();
    debug::<Execution<T>>();
    debug::<Run<T>>();
    debug::<Canceller<T>>();
    debug::<TemporaryKernel<T>>();
}
