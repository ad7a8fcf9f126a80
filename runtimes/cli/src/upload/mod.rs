//! `sorna upload`.

pub(crate) mod args;

use sorna::blocking::Kernel;
use sorna::{Error, KernelId, KernelSpec, SessionToken};

use crate::advice::{show_error_creating, show_error_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::pending::{MAX_WAIT, PendingLine};
use crate::progress::Progress;
use crate::reporter::Reporter;
use crate::run::{check_sizes, collect};
use crate::sessions::{Found, find_any};
use crate::signals::{self, LastWords};
use crate::spoken::{self, kernel_id, session_token};
use crate::stored::show_unchecked;
use crate::target::Target;
use crate::terms::Terms;
use crate::units::count;
use args::UploadArgs;

const UPLOADING: &str = "Uploading files...";
const NO_ID: &str = "To upload by language, add -t TOKEN.";

/// Carries out the command.
pub(crate) fn upload(arguments: UploadArgs, globals: &Globals) -> Result<Exit, Failure> {
    let mut reporter = Reporter::new(arguments.quiet);
    let files = collect(&arguments.files, arguments.collect, &mut reporter)?;
    let destination = Destination::of(&arguments, globals)?;
    let target = Target::open(globals)?;
    spoken::check_token(&target, destination.token())?;
    let destination = match destination {
        // Also by its token, or by what its name or its ID starts with.
        Destination::Id(id) => Destination::Id(find_any(&target, id.as_str())?.kernel.id().clone()),
        other => other,
    };
    check_sizes(&files, &target)?;
    let last_words = signals::clean_up_at_exit()?;
    reporter.wait(format_args!(
        "Connecting to the {}...",
        target.terms().kernel
    ));
    let meter = target.client.send_meter();
    let bytes = files.iter().map(|file| file.size()).sum();
    let number = files.iter().filter(|file| !file.is_directory()).count();
    let progress = Progress::start(number, bytes, &meter);
    let id = destination.id();
    let uploaded = destination
        .kernel(&target, &mut reporter, &last_words)
        .and_then(|kernel| {
            reporter.progress(UPLOADING, progress);
            kernel.upload_with(files, |progress| {
                reporter.progress(UPLOADING, Progress::after(progress, &meter));
            })
        });
    Ok(match uploaded {
        Ok(uploaded) => {
            let files = count(uploaded.files, "file");
            reporter.done(format_args!("Uploaded {files} ({} bytes).", uploaded.bytes));
            show_unchecked(&mut reporter, uploaded);
            Exit::SUCCESS
        }
        Err(error) => {
            match id {
                Some(id) => {
                    show_error_of(&mut reporter, &error, &target, &id, NO_ID);
                    let found = Found::by_id(&target, id);
                    let advice = match target.terms() {
                        Terms::SESSION => found.advice(&target, &error),
                        _ => None,
                    };
                    if let Some(advice) = advice {
                        reporter.advice(advice);
                    }
                }
                None => show_error_creating(&mut reporter, &error, &target, &arguments.kernel),
            }
            Exit::FAILURE
        }
    })
}

/// The kernel to upload to.
enum Destination {
    Id(KernelId),
    Create(KernelSpec, SessionToken),
}

impl Destination {
    fn of(arguments: &UploadArgs, globals: &Globals) -> Result<Self, Failure> {
        let name = arguments.kernel.as_str();
        match &arguments.token {
            Some(token) => session_token(token, globals)
                .map(|token| Self::Create(name.into(), token))
                .map_err(Failure::Argument),
            None => kernel_id(name, globals).map(Self::Id),
        }
    }

    /// The ID, if the kernel was given by it.
    fn id(&self) -> Option<KernelId> {
        match self {
            Self::Id(id) => Some(id.clone()),
            Self::Create(..) => None,
        }
    }

    fn token(&self) -> Option<&SessionToken> {
        match self {
            Self::Id(_) => None,
            Self::Create(_, token) => Some(token),
        }
    }

    fn kernel(
        self,
        target: &Target,
        reporter: &mut Reporter,
        last_words: &LastWords,
    ) -> Result<Kernel, Error> {
        match self {
            Self::Id(id) => Ok(target.client.kernel(id)),
            Self::Create(spec, token) => {
                let mut line = PendingLine::new(MAX_WAIT);
                last_words.set(target.terms().may_start(&token));
                let kernel = target
                    .client
                    .create_with(spec, &token, |pending| line.show(&pending, reporter));
                last_words.clear();
                let kernel = kernel?;
                let is_new = kernel.is_new() == Some(true);
                let terms = target.terms();
                reporter.done(terms.ready(kernel.id(), is_new));
                if is_new && let Some(remark) = terms.beside_others(kernel.other_languages()) {
                    reporter.advice(remark);
                }
                Ok(kernel)
            }
        }
    }
}
