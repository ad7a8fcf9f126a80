//! What the commands of the prompt do.

use sorna::Error;

use super::Session;
use super::command::{Command, HELP};
use crate::advice::show_error;
use crate::failure::{Failure, build_advice};
use crate::kernels::describe;
use crate::left;
use crate::print::print;
use crate::progress::Progress;
use crate::run::args::CollectArgs;
use crate::run::{check_sizes, collect};
use crate::sessions::download::download_here;
use crate::stored::show_unchecked;
use crate::terms::Terms;
use crate::units::count;

const UPLOADING: &str = "Uploading files...";

/// Lets a download replace files, as the option of `sorna download` does.
const OVERWRITE: &str = "--overwrite";

impl Session<'_> {
    /// Carries out a command, and reports what comes of it.
    pub(super) fn act(&mut self, command: Command) {
        self.watch.commands();
        let done = match command {
            Command::Help => print(HELP.as_bytes()).map(|_| Ok(())),
            Command::Info => self.info(),
            Command::Restart => Ok(self.restart()),
            Command::Upload(files) => self.upload(&files),
            Command::Download(files) => Ok(self.download(files)),
            Command::Leave => return,
        };
        match done {
            Ok(Ok(())) => {}
            Ok(Err(Error::Build(error))) => {
                self.reporter.fail(&error);
                if let Some(advice) = build_advice(&error) {
                    self.reporter.advice(advice);
                }
            }
            Ok(Err(error)) => show_error(&mut self.reporter, &error, self.target),
            Err(failure) => failure.show(),
        }
        self.watch.prompts();
    }

    fn info(&mut self) -> Result<Result<(), Error>, Failure> {
        match self.kernel().info() {
            Ok(info) => print(describe(&self.kernel, &info).as_bytes()).map(|_| Ok(())),
            Err(error) => Ok(Err(error)),
        }
    }

    fn restart(&mut self) -> Result<(), Error> {
        let noun = Terms::of(self.dialect).kernel;
        self.reporter.wait(format_args!("Restarting the {noun}..."));
        self.kernel().restart()?;
        left::forget_executions(self.target, &self.kernel);
        self.reporter.done(format_args!(
            "Restarted the {noun}: variables are lost, files are kept."
        ));
        Ok(())
    }

    fn upload(&mut self, files: &[String]) -> Result<Result<(), Error>, Failure> {
        let files = collect(files, CollectArgs::default(), &mut self.reporter)?;
        check_sizes(&files, self.target)?;
        let meter = self.target.client.send_meter();
        let bytes = files.iter().map(|file| file.size()).sum();
        let number = files.iter().filter(|file| !file.is_directory()).count();
        let kernel = self.kernel();
        let reporter = &mut self.reporter;
        reporter.progress(UPLOADING, Progress::start(number, bytes, &meter));
        let uploaded = kernel.upload_with(files, |progress| {
            reporter.progress(UPLOADING, Progress::after(progress, &meter));
        });
        Ok(uploaded.map(|uploaded| {
            let files = count(uploaded.files, "file");
            reporter.done(format_args!("Uploaded {files} ({} bytes).", uploaded.bytes));
            show_unchecked(reporter, uploaded);
        }))
    }

    fn download(&mut self, mut files: Vec<String>) -> Result<(), Error> {
        let all = files.len();
        files.retain(|file| file != OVERWRITE);
        let overwrites = files.len() < all;
        download_here(&self.kernel(), &files, overwrites, &mut self.reporter)
    }
}
