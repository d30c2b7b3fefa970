//! The flags that every command of the client takes, each with its environment variable.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, ValueEnum};
use dockhand_client::RATE_MIN;
use http::{HeaderName, HeaderValue};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

// No doc comments on these structs: clap would take them for the help of the command.

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub show: Show,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Registry")]
pub(crate) struct Access {
    /// Connection of the configuration, or address of the registry (with sub-path), for references
    /// that name no registry
    #[arg(
        long,
        global = true,
        value_name = "NAME|URL",
        env = "DOCKHAND_CONNECTION"
    )]
    pub connection: Option<String>,
    /// Speak HTTP without TLS; with =false only TLS, to this machine too, which else is tried without first
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "DOCKHAND_PLAIN_HTTP", value_parser = switch)]
    pub plain_http: Option<Switch>,
    /// Accept any TLS certificate
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "DOCKHAND_INSECURE", value_parser = switch)]
    pub insecure: Option<Switch>,
    // As skopeo and podman say it.
    /// With =false as --insecure
    #[arg(long, global = true, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub tls_verify: Option<Switch>,
    /// Certificate authorities to trust besides the system's, PEM
    #[arg(long, global = true, value_name = "FILE", env = "DOCKHAND_CA_FILE")]
    pub ca_file: Vec<PathBuf>,
    /// Client certificate, PEM; needs --key-file
    #[arg(long, global = true, value_name = "FILE", env = "DOCKHAND_CERT_FILE")]
    pub cert_file: Option<PathBuf>,
    /// Private key of the client certificate, PEM; needs --cert-file
    #[arg(long, global = true, value_name = "FILE", env = "DOCKHAND_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Address to use for a host instead of asking the name service: `host:port:address[:port]`
    #[arg(long, global = true, value_name = "RULE", env = "DOCKHAND_RESOLVE", value_parser = resolve_rule)]
    pub resolve: Vec<Resolve>,
    /// Header for every request to the registry itself: 'Name: value'
    #[arg(short = 'H', long, global = true, value_name = "HEADER", env = "DOCKHAND_HEADER", hide_env_values = true, value_parser = header)]
    pub header: Vec<Header>,
    /// File with credentials, as `docker login` or `podman login` writes it
    #[arg(long, global = true, value_name = "FILE", env = "DOCKHAND_AUTHFILE")]
    pub authfile: Option<PathBuf>,
    /// User name [env: DOCKHAND_USERNAME]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub username: Option<String>,
    /// Password; others on this machine can see it, so rather use --password-stdin [env:
    /// DOCKHAND_PASSWORD]
    #[arg(short, long, global = true, value_name = "SECRET", value_parser = password)]
    pub password: Option<SecretString>,
    /// Read the password from standard input
    #[arg(long, global = true, conflicts_with = "password")]
    pub password_stdin: bool,
    // As skopeo and podman say it.
    /// --username and --password in one
    #[arg(long, global = true, hide = true, value_name = "USER:PASSWORD", value_parser = credentials, conflicts_with_all = ["username", "password", "password_stdin"])]
    pub creds: Option<Credentials>,
}

impl Access {
    /// Whether it was said to do without TLS, or never to.
    pub(crate) fn is_plain(&self) -> Option<bool> {
        self.plain_http.and_then(|said| said.0)
    }

    /// Whether any certificate will do.
    pub(crate) fn is_insecure(&self) -> bool {
        let said = |switch: Option<Switch>| switch.and_then(|said| said.0);
        said(self.insecure).unwrap_or_default() || said(self.tls_verify) == Some(false)
    }

    /// Takes what is said in one word apart.
    pub(crate) fn settle(&mut self) {
        if let Some(Credentials(user, password)) = self.creds.take() {
            (self.username, self.password) = (Some(user), Some(password));
        }
    }
}

/// Yes, no, or nothing: an environment variable may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub Option<bool>);

/// A user name and a password, which does not print.
#[derive(Clone, Debug)]
pub(crate) struct Credentials(pub String, pub SecretString);

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Patience")]
pub(crate) struct Patience {
    /// How much to do at once [default: 48 requests]
    #[arg(short, long, global = true, visible_alias = "concurrency", value_name = "N", env = "DOCKHAND_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How often to try again what may work later [default: 5]
    #[arg(
        long,
        global = true,
        alias = "retry-times",
        value_name = "N",
        env = "DOCKHAND_RETRIES"
    )]
    pub retries: Option<u32>,
    /// How long to wait for a connection, an answer, or the next byte: 20s, 2m [default: 10s, 60s, 30s]
    #[arg(long, global = true, value_name = "TIME", env = "DOCKHAND_TIMEOUT", value_parser = pause)]
    pub timeout: Option<Duration>,
    /// Longest wait that a registry may ask for before the next try [default: 2m]
    #[arg(long, global = true, value_name = "TIME", env = "DOCKHAND_MAX_WAIT", value_parser = duration)]
    pub max_wait: Option<Duration>,
    /// Most bytes a second from a registry, and to one: 50M, 500K
    #[arg(long, global = true, value_name = "SIZE", env = "DOCKHAND_RATE", value_parser = rate)]
    pub rate: Option<NonZeroU32>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(crate) struct Show {
    /// Form of the answer on standard output [default: text]
    #[arg(long, global = true, value_name = "FORM", env = "DOCKHAND_OUTPUT")]
    output: Option<Form>,
    /// Short for --output json
    #[arg(long, global = true)]
    json: bool,
    /// Progress on standard error [default: auto, which is bars on a terminal and lines elsewhere]
    #[arg(long, global = true, value_name = "HOW", env = "DOCKHAND_PROGRESS")]
    pub progress: Option<ProgressForm>,
    /// No progress and no warnings
    #[arg(short, long, global = true, env = "DOCKHAND_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Say more of what is done; twice, even more
    #[arg(short, long, global = true, action = ArgAction::Count, env = "DOCKHAND_VERBOSE")]
    pub verbose: u8,
    /// Log every request on standard error, without secrets
    #[arg(long, global = true, env = "DOCKHAND_DEBUG", value_parser = FalseyValueParser::new())]
    pub debug: bool,
}

impl Show {
    pub(crate) fn form(&self) -> Form {
        match self.output {
            _ if self.json => Form::Json,
            form => form.unwrap_or_default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For spreadsheets: a line for each entry of a list
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// Bars
    Bar,
    /// A line every few seconds
    Plain,
    /// A JSON object a line
    Json,
    /// Nothing
    None,
}

/// An address for a host and port.
#[derive(Clone, Debug)]
pub(crate) struct Resolve {
    pub host: String,
    pub port: u16,
    pub address: SocketAddr,
}

/// A header of requests. Its value may be a secret, so it does not print.
#[derive(Clone)]
pub(crate) struct Header(pub HeaderName, pub HeaderValue);

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: …", self.0)
    }
}

/// `host:port:address[:port]`; an IPv6 address may stand in brackets.
fn resolve_rule(text: &str) -> Result<Resolve, String> {
    let read = || {
        let (host, rest) = text.split_once(':')?;
        let (port, target) = rest.split_once(':')?;
        let port: u16 = port.parse().ok()?;
        let bare = target.trim_start_matches('[').trim_end_matches(']');
        let address = match bare.parse() {
            Ok(ip) => SocketAddr::new(ip, port),
            Err(_) => target.parse().ok()?,
        };
        Some(Resolve {
            host: host.to_owned(),
            port,
            address,
        })
    };
    read().ok_or_else(|| "write host:port:address or host:port:address:port".to_owned())
}

fn header(text: &str) -> Result<Header, String> {
    let wrong = || "write 'Name: value'".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
    let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(Header(name, value))
}

pub(crate) fn switch(text: &str) -> Result<Switch, String> {
    Ok(Switch(match text.to_ascii_lowercase().as_str() {
        "" => None,
        "true" | "yes" | "on" | "1" | "t" | "y" => Some(true),
        "false" | "no" | "off" | "0" | "f" | "n" => Some(false),
        _ => return Err("write true or false".to_owned()),
    }))
}

pub(crate) fn credentials(text: &str) -> Result<Credentials, String> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => {
            let password = SecretString::from(password.to_owned());
            Ok(Credentials(user.to_owned(), password))
        }
        _ => Err("write USER:PASSWORD".to_owned()),
    }
}

/// A password; regctl means the platform by -p.
fn password(text: &str) -> Result<SecretString, String> {
    const SYSTEMS: [&str; 4] = ["linux", "windows", "darwin", "freebsd"];
    match text.split_once('/') {
        Some((system, rest)) if SYSTEMS.contains(&system) && !rest.is_empty() => Err(
            "this looks like a platform, and -p is the password; write --platform, or give such a \
             password with --password-stdin"
                .to_owned(),
        ),
        _ => Ok(SecretString::from(text.to_owned())),
    }
}

pub(crate) fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.to_owned()))
}

/// `50M`, `512KiB`: bytes a second.
fn rate(text: &str) -> Result<NonZeroU32, String> {
    let wrong = || format!("{text:?} is no number of bytes; write 50M or 512KiB");
    let bytes = text.parse::<ByteSize>().map_err(|_| wrong())?.as_u64();
    let least = u64::from(RATE_MIN);
    if bytes < least {
        return Err(format!("less than {} is too slow", ByteSize::b(least)));
    }
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    NonZeroU32::new(bytes).ok_or_else(wrong)
}

/// As [`duration`], but not nothing.
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than nothing".to_owned()),
        pause => Ok(pause),
    }
}

/// `2026-11-01T12:00:00Z`, or `2026-11-01` for its beginning in UTC.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time; write 2026-11-01T12:00:00Z or 2026-11-01");
    match text.parse::<Timestamp>() {
        Ok(moment) => Ok(moment),
        Err(_) => {
            let date: Date = text.parse().map_err(|_| wrong())?;
            let begin = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
            Ok(begin.timestamp())
        }
    }
}

/// `0`, `90s`, `1h 30m`, `7d`: days of 24 hours. A number without a unit would be days to one and
/// seconds to the other.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no length of time; write 30s, 5m, 12h or 7d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if let Ok(read) = text.parse::<SignedDuration>() {
        return Duration::try_from(read).map_err(|_| wrong());
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let read = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    read.ok()
        .and_then(|read| Duration::try_from(read).ok())
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_and_passwords() {
        for (text, said) in [("true", Some(true)), ("0", Some(false)), ("", None)] {
            assert_eq!(switch(text), Ok(Switch(said)), "{text}");
        }
        assert!(switch("maybe").is_err());
        assert!(password("linux/arm64").is_err());
        assert!(password("linux").is_ok() && password("a/b").is_ok());
        assert!(credentials("me:a:b").is_ok() && credentials("me").is_err());
    }

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [
            ("0", 0),
            ("30s", 30),
            ("1h 30m", 5400),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "30", "-5s", "5 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        for (text, seconds) in [("1970-01-02", 86_400), ("1970-01-01T01:00:00+01:00", 0)] {
            let read = moment(text).unwrap();
            assert_eq!(read.as_second(), seconds, "{text}");
        }
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn rates() {
        for (text, bytes) in [("50M", 50_000_000), ("512KiB", 524_288), ("8G", u32::MAX)] {
            assert_eq!(rate(text).map(NonZeroU32::get), Ok(bytes), "{text}");
        }
        for text in ["", "fast", "0", "1K", "-5M"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_for_names() {
        for (text, address) in [
            ("reg.example:443:10.0.0.1", "10.0.0.1:443"),
            ("reg.example:443:10.0.0.1:8443", "10.0.0.1:8443"),
            ("reg.example:443:[::1]", "[::1]:443"),
            ("reg.example:443:::1", "[::1]:443"),
            ("reg.example:443:[::1]:8443", "[::1]:8443"),
        ] {
            let rule = resolve_rule(text).unwrap();
            assert_eq!(rule.address, address.parse().unwrap(), "{text}");
            assert_eq!((rule.host.as_str(), rule.port), ("reg.example", 443));
        }
        for text in [
            "",
            "host",
            "host:443",
            "host:port:10.0.0.1",
            "host:443:name",
        ] {
            assert!(resolve_rule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_does_not_print_its_value() {
        let header = header("X-Key: geheim").unwrap();
        assert!(!format!("{header:?}").contains("geheim"));
        assert_eq!(header.1.to_str().unwrap(), "geheim");
    }
}
