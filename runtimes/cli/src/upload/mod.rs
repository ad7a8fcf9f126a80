//! `sorna upload`.

pub(crate) mod args;

use sorna::blocking::Kernel;
use sorna::core::{CreateKernel, Error, KernelId, SessionToken};

use crate::exit::Exit;
use crate::failure::{Failure, show_error, show_error_of};
use crate::globals::Globals;
use crate::line::Progress;
use crate::place::Place;
use crate::run::collect;
use crate::signals;
use crate::status::Status;
use args::UploadArgs;

const UPLOADING: &str = "Uploading files...";
const NO_ID: &str = "With a language, give -t TOKEN.";

/// Carries the command out.
pub(crate) fn upload(arguments: UploadArgs, globals: &Globals) -> Result<Exit, Failure> {
    let files = collect(&arguments.files, arguments.collect)?;
    let target = Target::of(&arguments)?;
    let place = Place::open(false, globals)?;
    let mut status = Status::new(arguments.quiet);
    if status.moves() {
        signals::erase_line_before_the_end()?;
    }
    status.wait("Connecting to the kernel...");
    let meter = place.client.send_meter();
    let bytes = files.iter().map(|file| file.size()).sum();
    let progress = Progress::start(files.len(), bytes, &meter);
    let id = target.id();
    let uploaded = target.kernel(&place, &mut status).and_then(|kernel| {
        status.progress(UPLOADING, progress);
        kernel.upload_with(files, |progress| {
            status.progress(UPLOADING, Progress::after(progress, &meter));
        })
    });
    Ok(match uploaded {
        Ok(uploaded) => {
            let plural = if uploaded.files == 1 { "" } else { "s" };
            status.done(format_args!(
                "Uploaded {} file{plural} ({} bytes).",
                uploaded.files, uploaded.bytes
            ));
            Exit::SUCCESS
        }
        Err(error) => {
            match id {
                Some(id) => show_error_of(&mut status, &error, &place, &id, NO_ID),
                None => show_error(&mut status, &error, &place),
            }
            Exit::FAILURE
        }
    })
}

/// The kernel that gets the files.
enum Target {
    Id(KernelId),
    Create(CreateKernel),
}

impl Target {
    fn of(arguments: &UploadArgs) -> Result<Self, Failure> {
        let name = arguments.kernel.as_str();
        let target = match &arguments.token {
            Some(token) => SessionToken::new(token.as_str())
                .map(|token| Self::Create(CreateKernel::new(name, token))),
            None => KernelId::new(name).map(Self::Id),
        };
        target.map_err(Failure::Argument)
    }

    /// The id, if that is how the kernel was named.
    fn id(&self) -> Option<KernelId> {
        match self {
            Self::Id(id) => Some(id.clone()),
            Self::Create(_) => None,
        }
    }

    fn kernel(self, place: &Place, status: &mut Status) -> Result<Kernel, Error> {
        match self {
            Self::Id(id) => Ok(place.client.kernel(id)),
            Self::Create(create) => {
                let kernel = place.client.create(create)?;
                status.done(format_args!("Kernel (ID: {}) is ready.", kernel.id()));
                Ok(kernel)
            }
        }
    }
}
