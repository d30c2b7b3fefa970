//! How a command fails: what it prints, and what it exits with.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use dockhand_client::ErrorKind;
use serde::Serialize;

use crate::flags::Form;
use crate::output::printable;
use crate::session::Session;

/// What kind of failure it was; the kind decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// Who reads the output has seen enough of it; that is none.
    Unread,
    /// It did not work.
    Failed,
    /// The command line, a reference or the configuration is wrong.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// Credentials are missing, refused, or do not allow it.
    Auth,
    /// The registry asks to slow down for longer than was to be waited.
    RateLimited,
    /// No connection, no trust in it, or no answer in time.
    Network,
    /// Content is not what its digest or size says.
    Mismatch,
    /// What was compared differs, or is not as old as was asked.
    Differs,
    /// Some of many things failed.
    Partial,
    /// The storage failed under way; sysexits calls this a temporary failure.
    Storage,
    /// Ctrl-C.
    Interrupted,
}

impl Kind {
    const fn exit_code(self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Auth => 4,
            Self::RateLimited => 5,
            Self::Network => 6,
            Self::Mismatch => 7,
            Self::Differs => 8,
            Self::Partial => 9,
            Self::Storage => 75,
            Self::Interrupted => 130,
        }
    }

    /// The kind of a failure of the client.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unauthorized | ErrorKind::Denied => Self::Auth,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Tls => Self::Network,
            ErrorKind::DigestMismatch | ErrorKind::SizeMismatch => Self::Mismatch,
            ErrorKind::Invalid | ErrorKind::Config => Self::Usage,
            _ => Self::Failed,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    /// Empty when the exit code says all.
    message: String,
    hint: Option<String>,
    /// Whether the hint goes on the line of the message.
    joined: bool,
}

/// A failure for programs; its form is documented in docs/commands.md.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    code: u8,
    kind: Kind,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
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
        Self::plain(kind, message)
    }

    /// A failure that this program found itself.
    pub(crate) fn plain(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            joined: false,
        }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::plain(Kind::Usage, message)
    }

    /// An answer that the exit code gives: no message.
    pub(crate) fn answer(kind: Kind) -> Self {
        Self::plain(kind, "")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        (self.hint, self.joined) = (Some(hint.into()), false);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says also what it is about, unless that is said.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if !self.message.is_empty() && !self.message.contains(name) {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    /// What comes of doing `many` things of which some failed: the failures are told, and one is left to
    /// decide the exit code.
    ///
    /// # Errors
    /// The only failure of a single thing, or that some of many failed.
    pub(crate) fn of_some(
        session: &Session,
        mut failures: Vec<Self>,
        many: usize,
    ) -> Result<(), Self> {
        let failed = failures.len();
        match failures.pop() {
            None => Ok(()),
            Some(only) if many <= 1 => Err(only),
            Some(last) => {
                let kind = last.kind;
                failures.push(last);
                let message = format!("{failed} of {many} failed");
                let alike = failed == many && failures.iter().all(|one| one.kind == kind);
                failures.into_iter().for_each(|one| one.tell(session));
                Err(Self::plain(
                    if alike { kind } else { Kind::Partial },
                    message,
                ))
            }
        }
    }

    /// Says what failed, beside other things that go on.
    pub(crate) fn tell(self, session: &Session) {
        let text = match session.output.is_json() {
            true => self.json(),
            false => self.text(false),
        };
        session.tell(text.trim_end());
    }

    /// Prints the failure and gives its exit code.
    pub(crate) fn report(self, form: Form) -> ExitCode {
        if !self.message.is_empty() {
            let text = match form {
                Form::Json => self.json(),
                Form::Text | Form::Csv => self.text(true),
            };
            let _ = anstream::stderr().lock().write_all(text.as_bytes());
        }
        ExitCode::from(self.exit_code())
    }

    fn json(&self) -> String {
        let told = Told {
            event: "error",
            code: self.exit_code(),
            kind: self.kind,
            message: &self.message,
            hint: self.hint.as_deref(),
        };
        serde_json::to_string(&told).unwrap_or_default() + "\n"
    }

    /// A line for the failure, more where its message has some, and one for the hint.
    fn text(&self, coloured: bool) -> String {
        let head = match coloured {
            true => "\x1b[1;31merror\x1b[0m",
            false => "error",
        };
        let mut lines = self.message.trim_end().lines().map(printable);
        let first = lines.next().unwrap_or_default();
        let mut text = format!("{head}: {first}");
        for line in lines {
            // So that no line of others begins as ours do.
            text.push_str("\n  ");
            text.push_str(&line);
        }
        match &self.hint {
            Some(hint) if self.joined => text + "; " + &printable(hint) + "\n",
            Some(hint) => text + "\nhint: " + &printable(hint) + "\n",
            None => text + "\n",
        }
    }
}

impl From<dockhand_client::Error> for Failure {
    /// The client's error says all on one line; its causes are for the log.
    fn from(error: dockhand_client::Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            tracing::info!("caused by: {cause}");
            next = cause.source();
        }
        let text = error.to_string();
        let hint = error.hint().map(str::to_owned);
        let own = hint
            .as_ref()
            .and_then(|hint| text.strip_suffix(hint.as_str()));
        let own = own.and_then(|own| own.strip_suffix("; "));
        let mut failure = Self::plain(Kind::of(error.kind()), own.unwrap_or(&text));
        if own.is_some() {
            (failure.hint, failure.joined) = (hint, true);
        }
        failure
    }
}

/// Standard output could not be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::answer(Kind::Unread),
            _ => Self::plain(Kind::Failed, format!("cannot write the output: {error}")),
        }
    }
}
