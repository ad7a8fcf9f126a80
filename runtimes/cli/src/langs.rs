//! `sorna langs`: which languages the gateway runs.

use clap::Args;
use sorna::{Dialect, GatewayError, LanguageInfo, ProblemKind};

use crate::advice::show_error;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::local;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::settings::Api;
use crate::target::Target;

/// List the gateway's languages, or the images of a manager of Backend.AI.
///
/// Of Sorna v2, only the gateway of this project has such a list; the original one responds with 404.
///
/// In a language that keeps state, a snippet sees what the ones before it in the same kernel have defined. In one
/// that runs whole programs, each snippet is a program of its own.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached; 2 for a usage error or a
/// wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LangsArgs {
    /// Print the list as JSON, one language per line.
    #[arg(long)]
    json: bool,

    /// List the languages of this machine, from a gateway started for this command only.
    #[arg(long)]
    local: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna langs
  sorna langs --local
  sorna langs --json | jq -r 'select(.available).name'";

/// Carries out the command.
pub(crate) fn langs(arguments: &LangsArgs, globals: &Globals) -> Result<Exit, Failure> {
    let local = arguments.local.then(|| (local::plain(), Api::Sorna));
    let target = Target::open_with(local, globals)?;
    let languages = match target.client.languages() {
        Ok(languages) => languages,
        Err(error) => {
            let mut reporter = Reporter::new(false);
            show_error(&mut reporter, &error, &target);
            let kind = error.gateway().and_then(GatewayError::kind);
            if error.is_not_found() && kind != Some(ProblemKind::UrlNotFound) {
                reporter.advice("This gateway does not list its languages (the API of 2017 has no request for it). Try `sorna run` with the one you want.");
            }
            return Ok(Exit::FAILURE);
        }
    };
    let negotiated = target.client.negotiated();
    let are_images = negotiated.is_ok_and(|negotiated| negotiated.dialect() == Dialect::BackendAi);
    if arguments.json {
        let line = |language: &LanguageInfo| {
            let mut line = serde_json::to_value(language).expect("a language is JSON");
            // Managers do not say this of their images.
            if let Some(fields) = line.as_object_mut().filter(|_| are_images) {
                fields.remove("keepsState");
            }
            print::line(&line)
        };
        return print(languages.iter().map(line).collect::<String>().as_bytes());
    }
    if are_images && languages.is_empty() {
        Reporter::new(false)
            .info("The manager lists no images. Ask for the full reference of one that it has.");
        return Ok(Exit::SUCCESS);
    }
    if are_images {
        return print(columns(&lines_of_images(languages)).as_bytes());
    }
    let lines: Vec<_> = languages
        .into_iter()
        .map(|language| {
            let state = match (language.available, language.keeps_state) {
                (true, true) => "keeps state".to_owned(),
                (true, false) => "whole programs".to_owned(),
                (false, _) => match language.missing {
                    Some(missing) => format!("not available: {missing}"),
                    None => "not available".to_owned(),
                },
            };
            [language.name, state, language.aliases.join(", ")]
        })
        .collect();
    print(columns(&lines).as_bytes())
}

/// Each image, the machines that it is for, and its other names.
fn lines_of_images(images: Vec<LanguageInfo>) -> Vec<[String; 3]> {
    let line = |image: LanguageInfo| {
        let architecture = image.extra.get("architecture");
        let architecture = architecture.and_then(|text| text.as_str());
        let architecture = architecture.unwrap_or_default().to_owned();
        [image.name, architecture, image.aliases.join(", ")]
    };
    images.into_iter().map(line).collect()
}
