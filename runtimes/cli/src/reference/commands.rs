//! Every command and option, from their definitions.

use std::fmt::Write as _;

use clap::Arg;

use super::page::{cell, check, escaped};
use crate::args::Cli;

/// How an option or argument is written.
fn written(arg: &Arg) -> String {
    let mut names = Vec::new();
    names.extend(arg.get_short().map(|short| format!("`-{short}`")));
    names.extend(arg.get_long().map(|long| format!("`--{long}`")));
    let takes = arg.get_action().takes_values();
    let values = arg.get_value_names().filter(|_| takes).unwrap_or_default();
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    let mut value = values.join(" ");
    if takes && arg.get_num_args().is_some_and(|it| it.min_values() == 0) && !arg.is_positional() {
        value = format!("[{value}]");
    }
    match names.is_empty() {
        true => format!("`{value}`"),
        false if value.is_empty() => names.join(", "),
        false => format!("{} `{value}`", names.join(", ")),
    }
}

fn row(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default();
    let end = |text: &mut String| {
        if !text.is_empty() && !text.ends_with(['.', ')']) {
            text.push('.');
        }
    };
    end(&mut text);
    if arg.get_action().takes_values() {
        let values: Vec<_> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() && !arg.is_hide_possible_values_set() {
            let _ = write!(text, " One of {}.", values.join(", "));
        }
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| format!("`{}`", value.display()))
            .collect();
        if !defaults.is_empty() && !arg.is_hide_default_value_set() {
            let _ = write!(text, " Default: {}.", defaults.join(" "));
        }
    }
    format!("| {} | {} |\n", written(arg), cell(&text))
}

/// A table of these, if there are any.
fn table<'a>(title: &str, args: impl Iterator<Item = &'a Arg>) -> String {
    let rows: String = args.map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("| {title} | |\n|---|---|\n{rows}\n"),
    }
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn describe(page: &mut String, command: &mut clap::Command) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let usage = command.render_usage().to_string();
    let name = command.get_bin_name().expect("it is built").to_owned();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let about = about.trim().trim_end_matches('.');
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("\n       ", "\n");
    let _ = write!(
        page,
        "## {name}\n\n{}.\n\n```text\n{usage}\n```\n\n",
        escaped(about)
    );
    let own = |arg: &&Arg| is_shown(arg) && !arg.is_global_set();
    *page += &table("argument", command.get_positionals().filter(own));
    // Those with a heading are together in the help, wherever they are defined.
    let mut headings = Vec::new();
    for heading in options(command).filter(own).map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let here = |arg: &&Arg| own(arg) && arg.get_help_heading() == heading;
        let title = heading.unwrap_or("option").to_lowercase();
        *page += &table(&title, options(command).filter(here));
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        let after = after.to_string();
        let _ = write!(page, "```text\n{}\n```\n\n", after.trim_end());
    }
    for command in command.get_subcommands_mut() {
        describe(page, command);
    }
}

/// Options, with those that take no value.
fn options(command: &clap::Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional())
}

#[test]
fn commands() {
    let mut sorna = Cli::whole();
    sorna.build();
    let mut page = "# Commands and options\n\n\
        Generated from the command itself: the same is in `sorna COMMAND --help` and `man sorna-COMMAND`. What the commands are for \
        is in the [tutorial](../tutorial/1-snippet.md) and the [manual](../../README.md). `lcc` and `lpython` are `sorna run c` and \
        `sorna run python3`, with the same options.\n\n"
        .to_owned();
    page += "## Every command\n\n";
    let shared = |arg: &&Arg| is_shown(arg) && arg.is_global_set();
    page += &table("option", options(&sorna).filter(shared));
    for command in sorna.get_subcommands_mut() {
        describe(&mut page, command);
    }
    check("commands.md", &(page.trim_end().to_owned() + "\n"));
}
