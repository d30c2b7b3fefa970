//! The log: lines on standard error, for people or for machines.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use dockhand_server::config::{Fields, Log, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::flags::Show;

/// Starts logging. What the process logs before this is lost, so it comes first.
pub(crate) fn start(log: &Log) {
    let level: LevelFilter = log.level.as_str().parse().unwrap_or(LevelFilter::INFO);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(Marked::new(&log.fields, log.format))
        .with_ansi(io::stderr().is_terminal());
    // A second start in one process keeps the first: only tests do that.
    let _ = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// How much a command of the client is to say.
pub(crate) fn level(show: &Show) -> LevelFilter {
    match (show.debug, show.verbose) {
        (true, _) | (_, 2..) => LevelFilter::DEBUG,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::OFF,
    }
}

/// Starts logging for a command of the client: nothing unless it is asked to say more. What comes back lets
/// more of the client through, for connections that ask for it by themselves.
pub(crate) fn start_client(show: &Show) -> impl FnOnce(LevelFilter) + use<> {
    let said = level(show);
    let filter = move |client: LevelFilter| {
        EnvFilter::new(format!("off,dockhand={said},dockhand_client={client}"))
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(said))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second start in one process keeps the first.
    let _ = builder.try_init();
    move |wanted| {
        let _ = handle.reload(filter(wanted.max(said)));
    }
}

/// Writes each line with the fields that every line is to have. The subscriber hands over whole
/// lines, one call each.
#[derive(Clone, Debug)]
struct Marked {
    fields: Arc<str>,
    format: LogFormat,
}

impl Marked {
    fn new(fields: &Fields, format: LogFormat) -> Self {
        let text = match format {
            LogFormat::Text => fields
                .iter()
                .map(|(name, value)| format!(" {name}={value}"))
                .collect(),
            LogFormat::Json => {
                let object = serde_json::to_string(fields).unwrap_or_default();
                object
                    .trim_start_matches('{')
                    .trim_end_matches('}')
                    .to_owned()
            }
        };
        Self {
            fields: text.into(),
            format,
        }
    }

    fn mark(&self, line: &str) -> String {
        match self.format {
            LogFormat::Text => format!("{}{}\n", line.trim_end_matches('\n'), self.fields),
            LogFormat::Json => line.replacen('{', &format!("{{{},", self.fields), 1),
        }
    }
}

impl Write for Marked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stderr().lock();
        match std::str::from_utf8(bytes) {
            Ok(line) if !self.fields.is_empty() => out.write_all(self.mark(line).as_bytes())?,
            _ => out.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Marked {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_fields() {
        let fields = Fields::from([("host".to_owned(), "eu \"1\"".to_owned())]);
        let text = Marked::new(&fields, LogFormat::Text);
        assert_eq!(text.mark("INFO hello\n"), "INFO hello host=eu \"1\"\n");
        let json = Marked::new(&fields, LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&json.mark("{\"a\":1}\n")).unwrap();
        assert_eq!(line, serde_json::json!({ "host": "eu \"1\"", "a": 1 }));
    }
}
