//! Reads the command line, and says what is wrong with it: also to fingers that know another tool.

mod foreign;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use crate::Cli;
use crate::flags::Form;
use crate::help;
use crate::report::Failure;

/// The command line as it is read and shown.
pub(crate) fn command() -> Command {
    help::dress(Cli::command())
}

/// # Errors
/// What to exit with: help was asked for, or nothing can be made of it.
pub(crate) fn read(words: &[OsString]) -> Result<Cli, ExitCode> {
    let mut command = match says_own(words) {
        // What the environment says to the client is nothing to the registry, right or wrong.
        true => help::dress(Cli::command().mut_args(|arg| match arg.is_global_set() {
            true => arg.env(None::<&str>),
            false => arg,
        })),
        false => command(),
    };
    let parsed = command
        .try_get_matches_from_mut(words)
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = parsed.map_err(|error| wrong(error.format(&mut command), words))?;
    match misplaced(&command, &matches) {
        Some(failure) => Err(failure.report(form(words))),
        None => Ok(cli),
    }
}

/// Whether the command is one that takes no flags of the client.
fn says_own(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    let command = words.find(|word| !word.starts_with('-'));
    command.is_some_and(|word| help::OWN_FLAGS.contains(&word))
}

/// A flag of the client at a command that is none.
fn misplaced(command: &Command, matches: &ArgMatches) -> Option<Failure> {
    let (name, _) = matches.subcommand()?;
    if !help::OWN_FLAGS.contains(&name) {
        return None;
    }
    let said = |arg: &&clap::Arg| {
        let id = arg.get_id().as_str();
        // Those of clap itself have no value here.
        let known = matches.try_contains_id(id).unwrap_or_default();
        known && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let arg = command
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .find(said)?;
    let flag = arg.get_long().unwrap_or_default();
    let message = format!("--{flag} means nothing to `{name}`");
    let hint = format!("`dockhand {name} --help` says what it takes");
    Some(Failure::usage(message).hint(hint))
}

/// The form in which to answer when the flags could not be read.
fn form(words: &[OsString]) -> Form {
    let mut words = words.iter().filter_map(|word| word.to_str());
    let mut json = std::env::var("DOCKHAND_OUTPUT").is_ok_and(|form| form == "json");
    while let Some(word) = words.next() {
        match word {
            "--" => break,
            "--json" | "--output=json" => json = true,
            "--output" => json = words.next() == Some("json"),
            _ => {}
        }
    }
    match json {
        true => Form::Json,
        false => Form::Text,
    }
}

/// Prints help, or what is wrong, and tells the exit code.
fn wrong(mut error: Error, words: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => Failure::from(error).report(Form::Text),
        };
    }
    let form = form(words);
    if let Some((word, hint)) = hint(&error, words) {
        let message = format!("{word} is not known here");
        return Failure::usage(message).hint(hint).report(form);
    }
    if form == Form::Json {
        return Failure::usage(sentence(&error)).report(form);
    }
    // `-- --flag` would be right for hardly any command.
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    let _ = error.print();
    ExitCode::from(2)
}

/// A word that clap does not know, and what to write instead.
fn hint(error: &Error, words: &[OsString]) -> Option<(String, String)> {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else {
        return None;
    };
    // With its value where one was joined to it, as clap does not tell.
    let mut before = words.iter().filter_map(|word| word.to_str());
    let spoken: Vec<&str> = before.by_ref().take_while(|other| other != word).collect();
    let hint = foreign::hint(&spoken, word)?;
    Some((word.clone(), hint))
}

/// The first paragraph of what clap says, on one line.
fn sentence(error: &Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_makes_sense() {
        super::command().debug_assert();
    }
}
