//! The prompt: lines are edited on a thread of its own, so that signals can end the wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Behavior, Cmd, CompletionType, ConditionalEventHandler, Config, Context, EventContext,
    EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};

use super::command;
use super::completion::Completion;
use super::event::{Event, Typed};
use super::history::{self, History};
use super::input::is_readable;
use super::language::{Syntax, prompt};
use super::unfinished::is_unfinished;
use crate::failure::Failure;
use crate::threads::start;
use crate::tty;

/// What Tab does at the beginning of a line.
const INDENT: &str = "    ";

/// Shows prompts when it is asked to.
#[derive(Debug)]
pub(super) struct Editor(Sender<()>);

type Lines = rustyline::Editor<Kernel, MemHistory>;

impl Editor {
    pub(super) fn start(
        lang: &str,
        history: History,
        completion: Completion,
        happen: Sender<Event>,
    ) -> Result<Self, Failure> {
        let failed = |error: ReadlineError| {
            Failure::System("cannot edit lines", io::Error::other(error.to_string()))
        };
        let syntax = Syntax::of(lang);
        let ahead = Arc::new(AtomicBool::new(false));
        let lines = lines(
            &history,
            Kernel {
                lang: lang.to_owned(),
                syntax,
                completion,
            },
            End(Arc::clone(&ahead)),
        )
        .map_err(failed)?;
        let (ask, asked) = mpsc::channel();
        let prompt = prompt(lang);
        start("editor", move || {
            attend(lines, &prompt, &history, &ahead, &asked, &happen)
        })?;
        Ok(Self(ask))
    }

    /// Shows the prompt. What is typed is an event.
    pub(super) fn ask(&self) {
        // The thread lives as long as this.
        let _ = self.0.send(());
    }
}

fn lines(history: &History, helper: Kernel, end: End) -> Result<Lines, ReadlineError> {
    let config = Config::builder()
        .max_history_size(history::MOST)?
        .history_ignore_space(true)
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        // Also where standard output is a pipe.
        .behavior(Behavior::PreferTerm)
        .build();
    let entries = MemHistory::with_config(&config);
    let mut lines = Lines::with_history(config, entries)?;
    for entry in history.read() {
        lines.add_history_entry(entry)?;
    }
    lines.set_helper(Some(helper));
    lines.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    let end = EventHandler::Conditional(Box::new(end));
    lines.bind_sequence(KeyEvent(KeyCode::Char('@'), Modifiers::CTRL), end);
    Ok(lines)
}

fn attend(
    mut lines: Lines,
    prompt: &str,
    history: &History,
    ahead: &AtomicBool,
    asked: &Receiver<()>,
    happen: &Sender<Event>,
) {
    while asked.recv().is_ok() {
        if is_readable(Duration::ZERO).unwrap_or(false) {
            ahead.store(true, Ordering::Relaxed);
        }
        // A signal that ends the command restores it.
        let kept = tty::Changed::kept();
        let read = lines.readline(prompt);
        drop(kept);
        let typed = match read {
            Ok(code) => {
                if let Ok(true) = lines.add_history_entry(code.as_str()) {
                    history.add(&code);
                }
                Typed::Code(code)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(ReadlineError::Eof) => Typed::End,
            // The terminal is gone.
            Err(ReadlineError::Io(error)) if is_gone(error.raw_os_error()) => Typed::End,
            Err(ReadlineError::Errno(error)) if is_gone(Some(error as i32)) => Typed::End,
            Err(error) => Typed::Failed(error.to_string()),
        };
        if happen.send(Event::Typed(typed)).is_err() {
            return;
        }
    }
}

fn is_gone(error: Option<i32>) -> bool {
    error == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Ctrl-D that was typed before the prompt was there. The terminal has taken it for an end of input then, and a prompt gets
/// Ctrl-@ in its place, with what else was typed before. This says whether anything was.
struct End(Arc<AtomicBool>);

impl ConditionalEventHandler for End {
    fn handle(
        &self,
        _: &rustyline::Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let ends = self.0.load(Ordering::Relaxed) && context.line().is_empty();
        // With none at all, the editor would take the next key for a part of this one.
        Some(if ends { Cmd::EndOfFile } else { Cmd::Noop })
    }
}

/// What the kernel, and its language, add to the editing of lines.
struct Kernel {
    lang: String,
    syntax: Syntax,
    completion: Completion,
}

impl Completer for Kernel {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line[..at].rsplit('\n').next().unwrap_or_default();
        if before.trim().is_empty() {
            let indent = Pair {
                display: String::new(),
                replacement: INDENT.to_owned(),
            };
            return Ok((at, vec![indent]));
        }
        let candidates = self.completion.at(line, at);
        let pair = |text: String| Pair {
            display: text.clone(),
            replacement: text,
        };
        let texts = candidates.texts.into_iter().map(pair).collect();
        Ok((at - candidates.replaced, texts))
    }
}

impl Validator for Kernel {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        // Commands of the prompt are no code.
        let is_command = command::parse(context.input(), &self.lang).is_some();
        Ok(
            match !is_command && is_unfinished(context.input(), self.syntax) {
                true => ValidationResult::Incomplete,
                false => ValidationResult::Valid(None),
            },
        )
    }
}

impl Hinter for Kernel {
    type Hint = String;
}

impl Highlighter for Kernel {}

impl Helper for Kernel {}
