//! The call, upload, execution and run machines, driven by arbitrary sequences of events.
//!
//! The input is a line that sets the scene, then one event for each byte. Both are letters: see
//! `Scene::read`, `Outcome::read` and `Harness::event`. A scene that begins with `A` is in Backend.AI: see
//! [`backend_ai`]; one that begins with `N` or `L` is a negotiation or a login: see [`finding`].
//!
//! Properties, whatever happens:
//!
//! - There is never more than one request in flight, and each verifies on the gateway's side.
//! - Code that may have run, input that may have arrived and restarts are never sent again.
//! - For every known temporary kernel there is a request to destroy it, and for no other one; the
//!   report says what happened to the kernel, and never that there was none when there may be one.
//! - Once cancelled, a run starts nothing new.
//! - Attempts, waiting times and time limits follow the policy.
//! - The content of each response is reported, in order and once; every file is accepted or named.
//! - A machine never waits without a reason; once the gateway sends only responses that end
//!   something (or keeps failing), the machine ends; and then it stays ended.

#![no_main]

mod backend_ai;
mod calling;
mod executing;
mod finding;
mod harness;
mod outcome;
mod running;
mod scene;
mod uploading;
mod wire;

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use sorna_core::machine::{Call, Execution, Run, Upload};
use sorna_core::{
    Authorize, Caller, Complete, Destroy, Execute, Info, ListLanguages, Operation, Restart,
    UploadFiles, Version,
};
use sorna_fuzz::signer;

use calling::Calling;
use executing::Executing;
use harness::Harness;
use running::Running;
use scene::{Scene, boundary, kernel};
use uploading::Uploading;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (scene, events) = data.split_at(end.unwrap_or(data.len()));
    if scene.starts_with(b"A") {
        return backend_ai::fuzz(scene, events.get(1..).unwrap_or_default());
    }
    if scene.starts_with(b"N") || scene.starts_with(b"L") {
        return finding::fuzz(scene, events.get(1..).unwrap_or_default());
    }
    let scene = Scene::read(scene);
    let caller = Caller::new(signer()).with_retry(scene.policy);
    let id = kernel();
    match scene.machine {
        b'R' => {
            let run = Run::new(scene.plan(), caller.clone(), [1; 32]);
            Harness::new(Running::new(run, &scene), &scene, caller).play(events);
        }
        b'U' => {
            let files = scene.files();
            let upload = Upload::new(id, files, boundary(), caller.clone());
            Harness::new(Uploading::new(upload, &scene), &scene, caller).play(events);
        }
        b'1' => play_call(Authorize::new("hi"), &scene, events),
        b'2' => play_call(scene.create(), &scene, events),
        b'3' => play_call(Info::new(id), &scene, events),
        b'4' => play_call(Restart::new(id), &scene, events),
        b'5' => play_call(Destroy::new(id), &scene, events),
        b'6' => play_call(Execute::start(id, scene.mode()), &scene, events),
        b'7' => play_call(Complete::at_end(id, "code"), &scene, events),
        b'8' => play_call(
            UploadFiles::new(id, scene.files(), boundary()),
            &scene,
            events,
        ),
        b'9' => play_call(ListLanguages::new(), &scene, events),
        b'0' => play_call(Version::new(), &scene, events),
        _ => {
            let execution = Execution::new(id, scene.mode(), caller.clone());
            Harness::new(Executing::new(execution, &scene), &scene, caller).play(events);
        }
    }
});

fn play_call<O: Operation<Output: Debug>>(operation: O, scene: &Scene, events: &[u8]) {
    let repeat = operation.repeat();
    let caller = Caller::new(signer()).with_retry(scene.policy);
    let call = Call::new(operation, caller.clone());
    Harness::new(Calling { call, repeat }, scene, caller).play(events);
}
