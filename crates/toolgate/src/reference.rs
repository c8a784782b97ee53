//! The command line reference, made from the definitions that the command line itself uses.

use clap::builder::StyledStr;
use clap::{Arg, Command};

const INTRODUCTION: &str = "\
# Command line

<!-- Made by `make docs` from the definitions in crates/toolgate/src/commands. Do not edit. -->

Data goes to standard output and words to standard error, so that output can be piped. Colours are
used only on a terminal, and never when `NO_COLOR` is set. `RUST_LOG` chooses what is logged.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | something was found: an invalid policy, a denied call in `explain`, a broken audit chain |
| 2 | the command line is wrong |
| 3 | the command could not run |
";

/// Writes the reference of a command and all its subcommands in Markdown.
pub(crate) fn markdown(mut command: Command) -> String {
    command.build();
    let mut text = INTRODUCTION.to_owned();
    for subcommand in visible(&command) {
        section(&mut text, subcommand, "toolgate", 2);
    }
    text
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
}

fn section(text: &mut String, command: &Command, parent: &str, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    text.push_str(&format!("\n{} `{name}`\n\n{}\n", "#".repeat(level), sentences(about)));
    if command.has_subcommands() {
        for subcommand in visible(command) {
            section(text, subcommand, &name, level + 1);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).trim();
    text.push_str(&format!("\n```text\n{usage}\n```\n"));
    let arguments: Vec<&Arg> =
        command.get_arguments().filter(|argument| !argument.is_hide_set() && argument.get_id() != "help").collect();
    if arguments.is_empty() {
        return;
    }
    text.push_str("\n| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        text.push_str(&format!("| `{}` | {} |\n", form(argument), meaning(argument)));
    }
}

/// Sentences that are whole: the first line of a command's description has no full stop.
fn sentences(about: Option<&StyledStr>) -> String {
    let text = about.map(ToString::to_string).unwrap_or_default();
    let (first, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let stop = if first.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{stop}\n\n{rest}").trim_end().to_owned()
}

fn form(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let values = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes_value = argument.get_action().takes_values();
    let flags =
        [argument.get_short().map(|short| format!("-{short}")), argument.get_long().map(|long| format!("--{long}"))];
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let many = argument.get_num_args().is_some_and(|range| range.max_values() > 1);
    let dots = if many { "…" } else { "" };
    match (flags.is_empty(), takes_value) {
        (true, _) if argument.is_last_set() => format!("-- {values}{dots}"),
        (true, _) => format!("{values}{dots}"),
        (false, true) => format!("{flags} {values}"),
        (false, false) => flags,
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = help.replace('|', "\\|").replace('\n', " ");
    if argument.get_action().takes_values() {
        let choices: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !choices.is_empty() {
            text.push_str(&format!("; one of {}", choices.join(", ")));
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        if !defaults.is_empty() {
            text.push_str(&format!(" [default: {}]", defaults.join(" ")));
        }
        if let Some(variable) = argument.get_env() {
            text.push_str(&format!(" [environment: `{}`]", variable.display()));
        }
    }
    text
}
