//! `sorna shell`: a terminal on a kernel.

mod keys;

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::termios::tcgetwinsize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use sorna::blocking::{Kernel, PtyReader, PtyWriter};
use sorna::core::terminal::{TerminalEvent, TerminalOptions};
use sorna::core::{CreateKernel, Error, SessionToken};
use sorna::random_token;

use crate::args::ShellArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain, show_error};
use crate::globals::Globals;
use crate::modes;
use crate::place::{LocalGateway, Place};
use crate::status::Status;
use keys::{DETACH_NAME, Keys};

/// What ends or changes the terminal.
#[derive(Debug)]
enum Happening {
    /// Output for the screen.
    Output(Vec<u8>),
    /// The gateway says something.
    Words(String),
    /// The terminal is closed by the gateway; with an error if the connection broke.
    Closed(Option<Error>),
    /// The user left with the detach key.
    Detached,
    /// A signal asks us to end.
    Signal(i32),
    /// The screen is gone.
    NoScreen,
}

/// Carries the command out.
pub(crate) fn shell(arguments: ShellArgs, globals: &Globals) -> Result<Exit, Failure> {
    let token = match &arguments.token {
        Some(token) => SessionToken::new(token.as_str()).map_err(Failure::Argument)?,
        None => random_token(),
    };
    let place = Place::open(arguments.local, globals)?;
    let mut status = Status::new(arguments.quiet);
    status.info(format_args!("Client session token: {token}"));
    status.wait("Connecting to the kernel...");
    // Signals are watched before there is a kernel, so that none is left behind.
    let (happen, happened) = mpsc::channel();
    let window_writer = watch(happen.clone(), place.gateway())?;
    let create = CreateKernel::new(arguments.lang.as_str(), token);
    let kernel = match place.client.create(create) {
        Ok(kernel) => kernel,
        Err(error) => {
            show_error(&mut status, &error, &place);
            return Ok(Exit::FAILURE);
        }
    };
    status.done(format_args!("Kernel (ID: {}) is ready.", kernel.id()));
    let exit = if let Ok(Happening::Signal(signal)) = happened.try_recv() {
        Exit::of_signal(signal)
    } else {
        match kernel.stream_pty(options()) {
            Ok(pty) => {
                status.info(format_args!("Leave with {DETACH_NAME}."));
                let (reader, writer) = pty.split();
                *lock(&window_writer) = Some(writer.clone());
                attend(&mut status, reader, writer, happen, &happened).unwrap_or_else(|failure| {
                    failure.show();
                    failure.exit()
                })
            }
            Err(error) => {
                show_error(&mut status, &error, &place);
                Exit::FAILURE
            }
        }
    };
    Ok(if arguments.token.is_none() {
        clean_up(&mut status, &kernel, exit)
    } else {
        exit
    })
}

fn options() -> TerminalOptions {
    let mut options = TerminalOptions::default();
    if let Some(size) = window() {
        options.size = size;
    }
    options
}

/// The size of our own window, if there is one.
fn window() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Shows what the kernel puts out and sends what is typed, until one side has enough.
fn attend(
    status: &mut Status,
    reader: PtyReader,
    writer: PtyWriter,
    happen: Sender<Happening>,
    happened: &Receiver<Happening>,
) -> Result<Exit, Failure> {
    let raw =
        modes::Changed::raw().map_err(|error| Failure::System("cannot set the terminal", error))?;
    let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error| Failure::System("cannot start a thread", error))
    };
    let to_us = happen.clone();
    start("output", Box::new(move || read(reader, &to_us)))?;
    start("input", Box::new(move || type_in(writer, &happen)))?;

    let mut screen = io::stdout();
    let mut words = None;
    let (exit, ending) = loop {
        match happened.recv().unwrap_or(Happening::Closed(None)) {
            Happening::Output(bytes) => {
                if screen
                    .write_all(&bytes)
                    .and_then(|()| screen.flush())
                    .is_err()
                {
                    break (Exit::of_signal(signal_hook::consts::SIGPIPE), None);
                }
            }
            Happening::Words(text) => words = Some(text),
            Happening::Closed(None) => break (Exit::SUCCESS, Some("The terminal is closed.")),
            Happening::Closed(Some(error)) => {
                words = Some(chain(&error));
                break (Exit::FAILURE, None);
            }
            Happening::Detached => break (Exit::SUCCESS, Some("Detached.")),
            Happening::Signal(signal) => break (Exit::of_signal(signal), None),
            Happening::NoScreen => break (Exit::FAILURE, None),
        }
    };
    drop(raw);
    if let Some(words) = words {
        status.fail(words);
    }
    if let Some(ending) = ending {
        status.info(ending);
    }
    Ok(exit)
}

/// Waits for the kernel's output, on a thread of its own.
fn read(mut reader: PtyReader, happen: &Sender<Happening>) {
    loop {
        let happening = match reader.next_event() {
            Ok(Some(TerminalEvent::Output(bytes))) => Happening::Output(bytes.into()),
            Ok(Some(TerminalEvent::Error(words))) => Happening::Words(words),
            Ok(Some(_)) => continue,
            Ok(None) => Happening::Closed(None),
            Err(error) => Happening::Closed(Some(error)),
        };
        let is_end = matches!(happening, Happening::Closed(_));
        if happen.send(happening).is_err() || is_end {
            return;
        }
    }
}

/// Sends what is typed, on a thread of its own.
fn type_in(mut writer: PtyWriter, happen: &Sender<Happening>) {
    let mut keys = Keys::default();
    let mut buffer = [0; 4096];
    loop {
        let typed = match io::stdin().lock().read(&mut buffer) {
            // The end of a pipe: what a person would type then.
            Ok(0) => {
                let _ = writer.write(&[0x04]);
                return;
            }
            Ok(typed) => &buffer[..typed],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                let _ = happen.send(Happening::NoScreen);
                return;
            }
        };
        let (typed, detached) = keys.until_detach(typed);
        // A closed terminal is told by the reader.
        if writer.write(typed).is_err() {
            return;
        }
        if detached {
            let _ = happen.send(Happening::Detached);
            return;
        }
    }
}

/// The terminal that is told of a new window size, once there is one.
type WindowWriter = Arc<Mutex<Option<PtyWriter>>>;

fn lock(writer: &WindowWriter) -> MutexGuard<'_, Option<PtyWriter>> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes the window's size on, and signals to end; the second one leaves at once, after stopping
/// the local gateway.
fn watch(happen: Sender<Happening>, gateway: LocalGateway) -> Result<WindowWriter, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGWINCH])
        .map_err(|error| Failure::System("cannot watch for signals", error))?;
    let window_writer = WindowWriter::default();
    let shared = Arc::clone(&window_writer);
    let watcher = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if signal == SIGWINCH {
                if let (Some((rows, cols)), Some(writer)) = (window(), lock(&shared).as_mut()) {
                    // A closed terminal is told by the reader.
                    let _ = writer.resize(rows, cols);
                }
            } else if stopping {
                modes::restore();
                gateway.stop();
                std::process::exit(i32::from(Exit::of_signal(signal).code()));
            } else {
                stopping = true;
                let _ = happen.send(Happening::Signal(signal));
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(watcher)
        .map_err(|error| Failure::System("cannot start a thread", error))?;
    Ok(window_writer)
}

fn clean_up(status: &mut Status, kernel: &Kernel, exit: Exit) -> Exit {
    status.wait("Cleaning up the temporary kernel...");
    match kernel.destroy() {
        Err(error) if !error.is_not_found() => {
            status.fail(format_args!(
                "The kernel {} could not be destroyed: {}",
                kernel.id(),
                chain(&error)
            ));
            Exit::FAILURE
        }
        _ => {
            status.done("Cleaned up the kernel.");
            exit
        }
    }
}
