//! How help is shown: a command's own arguments and options first, then those of all commands, and
//! examples. Pages of the manual are made of the same.

mod examples;

use clap::Command;

use crate::EXIT_CODES;
use crate::report::Failure;

/// Commands that talk to no registry, so that the flags for that mean nothing to them.
pub(crate) const OWN_FLAGS: &[&str] = &["serve", "check", "completion", "man", "version"];

/// What `-h` ends with.
const MORE: &str =
    "Flags of every command (--json, -q, -u, --plain-http, --timeout …): dockhand help flags";

/// Where the flags of every command begin in their order: after all of any command.
const COMMON_FIRST: usize = 1000;

/// Gives the commands what help needs besides what stands at their fields.
pub(crate) fn dress(mut command: Command) -> Command {
    let common: Vec<clap::Arg> = { command.get_arguments() }
        .filter(|arg| arg.is_global_set())
        .cloned()
        .collect();
    let mut order = COMMON_FIRST;
    command = command.mut_args(|arg| {
        if !arg.is_global_set() {
            return arg;
        }
        order += 1;
        // Pages of the manual take what -h does not show from the long help alone.
        let help = arg.get_help().cloned();
        let arg = arg.hide_short_help(true).display_order(order);
        match help {
            Some(help) => arg.long_help(help),
            None => arg,
        }
    });
    for name in OWN_FLAGS {
        let hidden = common.iter().map(|arg| arg.clone().hide(true));
        command = command.mut_subcommand(name, |own| own.args(hidden));
    }
    command = command
        .after_help(format!("{MORE}\n\n{EXIT_CODES}"))
        .after_long_help(EXIT_CODES);
    command.mut_subcommands(|sub| with_examples(sub, ""))
}

fn with_examples(command: Command, above: &str) -> Command {
    let path = format!("{above}{}", command.get_name());
    if OWN_FLAGS.contains(&path.as_str()) {
        return command;
    }
    let examples = examples::of(&path);
    let below = format!("{path} ");
    // Flattened groups of options have headings, which go on for what comes after them.
    let command = command.mut_args(|arg| match arg.is_positional() {
        true => arg.help_heading(None::<&str>),
        false => arg,
    });
    let command = match examples {
        Some(examples) => command.after_long_help(examples),
        None => command.after_long_help(""),
    };
    let command = command.after_help(MORE);
    command.mut_subcommands(|sub| with_examples(sub, &below))
}

/// Prints the flags that all commands of the client take.
pub(crate) fn print_flags() -> Result<(), Failure> {
    let mut command = crate::usage::command();
    command.build();
    let page = command
        .find_subcommand_mut("flags")
        .map(Command::render_long_help);
    crate::output::raw(page.unwrap_or_default().to_string().as_bytes())
}

/// Prints the version, as --version does.
pub(crate) fn print_version() -> Result<(), Failure> {
    crate::output::raw(crate::usage::command().render_version().as_bytes())
}
