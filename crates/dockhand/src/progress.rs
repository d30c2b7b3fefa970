//! What goes on, told on standard error: bars on a terminal, a line every few seconds elsewhere, JSON
//! for programs.

mod bars;
mod events;
mod lines;
mod retries;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use dockhand_client::{Event, Observer};

use crate::flags::{ProgressForm, Show};
use crate::output::printable;
use retries::{Cause, GATHER, Retries};

/// Watches the client and tells about it.
#[derive(Debug)]
pub(crate) struct Progress {
    teller: Teller,
    quiet: bool,
    /// Whether every retry has its line.
    verbose: bool,
    retries: Retries,
    /// Itself, for lines that are told later.
    own: Weak<Self>,
    /// The last limits that each host told of: the limit and what remains.
    limits: Mutex<BTreeMap<String, (String, String)>>,
}

#[derive(Debug)]
enum Teller {
    Bars(bars::Bars),
    Lines(lines::Lines),
    Events(events::Events),
    Nothing,
}

impl Progress {
    /// `logged` when there is a log, also where the flags do not ask for one.
    pub(crate) fn new(show: &Show, logged: bool) -> Arc<Self> {
        let verbose = show.verbose > 0 || show.debug;
        // The log's lines and bars would tear each other apart.
        let bars = io::stderr().is_terminal() && !verbose && !logged;
        let teller = match show.progress.unwrap_or(ProgressForm::Auto) {
            ProgressForm::None => Teller::Nothing,
            ProgressForm::Json => Teller::Events(events::Events::default()),
            _ if show.quiet => Teller::Nothing,
            ProgressForm::Bar => Teller::Bars(bars::Bars::new()),
            ProgressForm::Auto if bars => Teller::Bars(bars::Bars::new()),
            ProgressForm::Auto | ProgressForm::Plain => Teller::Lines(lines::Lines::default()),
        };
        Arc::new_cyclic(|own| Self {
            teller,
            quiet: show.quiet,
            verbose,
            retries: Retries::default(),
            own: own.clone(),
            limits: Mutex::default(),
        })
    }

    /// Something that a person should know, on a line of its own.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !matches!(self.teller, Teller::Events(_)) {
            self.tell(&printable(text));
        }
    }

    /// Something that must be known, however quiet it is to be; what others wrote is printable in it.
    pub(crate) fn tell(&self, text: &str) {
        let write = || {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        };
        match &self.teller {
            Teller::Bars(bars) => bars.suspend(write),
            _ => write(),
        }
    }

    /// Takes away what would be in the way of an answer.
    pub(crate) fn clear(&self) {
        if let Teller::Bars(bars) = &self.teller {
            bars.clear();
        }
    }

    /// Nothing more comes; the command exits with `code`.
    pub(crate) fn finish(&self, code: u8) {
        for line in self.retries.rest(Instant::now()) {
            self.note(&line);
        }
        self.clear();
        if let Teller::Events(events) = &self.teller {
            events.finish(code);
        }
    }

    /// A request is tried again: tells it, or soon for all that fail for the same cause.
    fn retried(&self, event: &Event) {
        let Event::Retried {
            host,
            doing,
            why,
            kind,
            status,
            wait,
        } = event
        else {
            return;
        };
        if self.verbose {
            let wait = wait.as_secs_f32();
            return self.note(&format!(
                "cannot {doing} at {host}: {why}; trying again in {wait:.1} s"
            ));
        }
        let cause = Cause {
            host: host.clone(),
            kind: *kind,
            status: *status,
        };
        if !self.retries.add(&cause, doing, why, *wait, Instant::now()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return self.tell_retries(&cause);
        };
        let own = self.own.clone();
        runtime.spawn(async move {
            tokio::time::sleep(GATHER).await;
            if let Some(own) = own.upgrade() {
                own.tell_retries(&cause);
            }
        });
    }

    fn tell_retries(&self, cause: &Cause) {
        if let Some(line) = self.retries.line(cause, Instant::now()) {
            self.note(&line);
        }
    }

    /// The limits that hosts told of so far.
    pub(crate) fn limits(&self) -> BTreeMap<String, (String, String)> {
        self.limits
            .lock()
            .map(|limits| limits.clone())
            .unwrap_or_default()
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::RateLimit {
                host,
                limit,
                remaining,
            } => {
                if let Ok(mut limits) = self.limits.lock() {
                    limits.insert(host.clone(), (limit.clone(), remaining.clone()));
                }
            }
            Event::Retried { .. } => self.retried(event),
            Event::Warning { host, text } => self.note(&format!("warning: {host}: {text}")),
            _ => {}
        }
        match &self.teller {
            Teller::Bars(bars) => bars.event(event),
            Teller::Lines(lines) => {
                if let Some(line) = lines.event(event) {
                    self.note(&line);
                }
            }
            Teller::Events(events) => events.event(event),
            Teller::Nothing => {}
        }
    }
}
