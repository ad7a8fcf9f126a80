//! `sorna run`.

pub(crate) mod args;
pub(crate) mod attach;
mod code;
mod drain;
mod enqueue;
pub(crate) mod env_file;
pub(crate) mod finish;
mod images;
mod input;
mod java;
pub(crate) mod left_running;
mod made;
pub(crate) mod media;
pub(crate) mod output;
mod own_limit;
mod own_output;
mod package;
mod peek;
mod plan;
mod program;
pub(crate) mod resources;
mod session;
mod silence;
mod sixel;
mod source;
mod unclaimed;
mod words;
pub(crate) mod work_dir;

use std::io::{self, Write};
use std::sync::mpsc;

use sorna::Dialect;
use sorna::protocol::Execute;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::installing;
use crate::json::{self, Event};
use crate::local::Isolated;
use crate::pending::PendingLine;
use crate::release::release;
use crate::reporter::Reporter;
use crate::signals::{self, LastWords, Work};
use crate::spoken;
use crate::target::Target;
use crate::temporary::Temporary;
use crate::terms::Terms;
use crate::units::time;
use args::RunArgs;
use input::{Input, Wake};
use left_running::Program;
use made::Made;
use media::Gallery;
use output::Output;
use own_limit::OwnLimit;
use own_output::OwnOutput;
use plan::Planned;
pub(crate) use plan::{check_sizes, collect, local_api};
use resources::Wishes;
use session::{Files, Session};
use silence::Silence;

/// Carries out the command.
pub(crate) fn run(arguments: RunArgs, globals: &Globals) -> Result<Exit, Failure> {
    if arguments.json_schema {
        // A closed pipe is no failure: the reader needs no more.
        let _ = io::stdout().write_all(json::SCHEMA.as_bytes());
        return Ok(Exit::SUCCESS);
    }
    if !arguments.json {
        let exit = begin(&arguments, globals)?;
        if arguments.local.local && !arguments.quiet && exit == Exit::SUCCESS {
            installing::hint(&mut Reporter::new(false));
        }
        return Ok(exit);
    }
    json::turn_on();
    // A failure before the run begins is an event, too.
    let exit = begin(&arguments, globals).unwrap_or_else(|failure| {
        failure.show();
        failure.exit()
    });
    let _ = json::emit(&Event::Finished {
        exit_code: exit.code(),
    });
    Ok(exit)
}

fn begin(arguments: &RunArgs, globals: &Globals) -> Result<Exit, Failure> {
    let Planned {
        mut plan,
        elsewhere,
        token,
        advice,
    } = plan::plan(arguments, globals)?;
    let gallery = Gallery::new(&arguments.media, !arguments.json);
    gallery
        .prepare()
        .map_err(|error| Failure::System("cannot create the media directory", error))?;
    let caught = signals::catch()?;
    let local = arguments.local.config()?;
    let local = local.map(|config| (config, local_api(plan.spec())));
    let target = Target::open_with(local, globals)?;
    let quiet = arguments.quiet || arguments.json;
    let words = LastWords::default();
    let work = Work::default();
    let (last, begun) = (words.clone(), work.clone());
    let stopped = signals::watch(caught, target.gateway(), quiet, last, begun)?;
    let made = Made::new(&arguments.made, &target)?;
    let version = spoken::version(&target)?;
    if let Some(other) = elsewhere
        && !target.client.offers(Execute::FINAL).unwrap_or(false)
    {
        plan = other;
    }
    plan::check(&plan, version)?;
    check_sizes(plan.files(), &target)?;
    made.check(version.dialect())?;
    if arguments.detach_on_interrupt
        && version.dialect() == Dialect::BackendAi
        && !target.client.offers(Execute::ATTACH).unwrap_or(false)
    {
        return Err(Failure::usage(NO_DETACHING.to_owned()));
    }
    spoken::check_living(&target, version, &token)?;
    let mut reporter = Reporter::new(quiet);
    if plan.spec().enqueue_only() {
        let wishes = Wishes::new(arguments, version.dialect());
        return enqueue::enqueue(&target, plan, &token, wishes, &mut reporter, &words);
    }
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    let terms = Terms::of(version.dialect());
    reporter.info(format_args!("{}: {token}", terms.token));
    reporter.wait(format_args!(
        "{} {}...",
        if plan.keeps_kernel() {
            "Connecting to the"
        } else {
            "Creating a temporary"
        },
        terms.kernel
    ));

    let files = Files::of(&plan, !arguments.reads_stdin());
    let has_snippets = !files.is_some();
    let temporary = !plan.keeps_kernel();
    let silence = match version.dialect() {
        // Files run in processes of their own, whose end is reported.
        Dialect::BackendAi if !files.is_some() && !arguments.quiet => {
            watch_silence(arguments, &target, &reporter)?
        }
        _ => Silence::default(),
    };
    let (wake, woken) = mpsc::channel();
    let run = target.client.run(plan);
    let canceller = run.canceller();
    let stop_waiting = wake.clone();
    let saves = made.is_wanted();
    work.begin(move || {
        if saves {
            // The files are to be fetched before.
            canceller.stop();
        } else {
            // If this fails, the run tries again and reports the outcome.
            let _ = canceller.cancel();
        }
        let _ = stop_waiting.send(Wake::Stopped);
    });
    let asked = arguments.limits.exec_timeout;
    let limit = match asked.filter(|_| version.dialect() == Dialect::SornaV2) {
        Some(_) => {
            let canceller = run.canceller();
            OwnLimit::watch(move || {
                // If this fails, the run tries again and reports the outcome.
                let _ = canceller.cancel();
            })?
        }
        None => OwnLimit::default(),
    };
    let session = Session {
        run,
        reporter,
        output: Output::new(gallery, target.on_gateway(Isolated::on)),
        input: Input::new(wake, woken),
        token,
        temporary,
        files,
        enters: arguments.workdir.as_deref().filter(|_| has_snippets),
        advice,
        meter: target.client.send_meter(),
        execution: 0,
        program: Program::Ended,
        target: &target,
        lang: &arguments.lang,
        reads_code: arguments.reads_stdin(),
        dialect: version.dialect(),
        echoes: arguments.echo,
        wishes: Wishes::new(arguments, version.dialect()),
        idle_timeout: arguments.idle_timeout,
        pending: PendingLine::new(arguments.max_wait()),
        is_marked: false,
        attaches: false,
        ready: None,
        stays: None,
        has_others: false,
        over_limit: None,
        silence,
        limit,
        own_output: OwnOutput::default(),
        stopped,
        kernel: None,
        record: None,
        turn: None,
        kept: Temporary::default(),
        words,
        made,
        is_brought: true,
    };
    Ok(session.run())
}

/// Mentions programs that print nothing for long, if the gateway would not report that they have ended their
/// interpreter.
fn watch_silence(
    arguments: &RunArgs,
    target: &Target,
    reporter: &Reporter,
) -> Result<Silence, Failure> {
    let client = target.client.clone();
    let is_manager = move || {
        let info = client.version();
        info.is_ok_and(|info| release(&info).is_some())
    };
    let after = time(arguments.silence.as_secs_f64() * 1000.0);
    let destroy = match &arguments.token {
        Some(token) => format!(", and destroy the session with `sorna destroy {token}`"),
        None => String::new(),
    };
    let mut reporter = reporter.clone();
    Silence::watch(arguments.silence, is_manager, move || {
        let text = format_args!(
            "The program has printed nothing for {after}. It may still run, wait for another execution in its session, or have ended its interpreter, as os._exit() and crashes do: managers of Backend.AI never report that. Press Ctrl-C to stop it{destroy}."
        );
        if json::is_on() {
            reporter.advice(text);
        } else {
            reporter.remark(text);
        }
    })
}

const NO_DETACHING: &str = "--detach-on-interrupt does not work with managers of Backend.AI, where a program whose output no one asks for blocks its session: leave it out, and Ctrl-C interrupts the program";
