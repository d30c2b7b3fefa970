//! How a command fails: what it prints, and what it exits with.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// What kind of failure it was; the kind decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It did not work.
    Failed,
    /// The configuration is wrong.
    Config,
    /// The storage failed under way; sysexits calls this a temporary failure.
    Storage,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            // Errors that quote their cause already are not repeated.
            if !message.contains(&cause_text) {
                message.push_str(": ");
                message.push_str(&cause_text);
            }
            next = cause.source();
        }
        Self {
            kind,
            message,
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints the failure and gives its exit code.
    pub(crate) fn report(self) -> ExitCode {
        let mut out = anstream::stderr().lock();
        let _ = writeln!(out, "error: {}", self.message);
        if let Some(hint) = self.hint {
            let _ = writeln!(out, "hint: {hint}");
        }
        ExitCode::from(match self.kind {
            Kind::Failed => 1,
            Kind::Config => 2,
            Kind::Storage => 75,
        })
    }
}
