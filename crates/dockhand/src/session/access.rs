//! From the flags to a connection: whom to trust, who asks, how patiently.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dockhand_client::credentials::{Chain, Environment};
use dockhand_client::{Auth, Connection, Credential, Settings};
use secrecy::SecretString;

use crate::flags::{Access, Credentials, Patience, Switch, credentials, secret, switch};
use crate::report::{Failure, Kind};

/// The longest password that is read, in bytes: some are tokens of a few KiB.
const PASSWORD_MAX: u64 = 64 * 1024;

/// One side of a copy, or of everything.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(super) name: &'static str,
    pub(super) access: Access,
}

impl Side {
    /// The only side.
    pub(crate) fn of(access: &Access) -> Self {
        Self {
            name: "",
            access: access.clone(),
        }
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.access.username.is_some() || self.access.password.is_some()
    }
}

/// Writes the flags of one side, which count more there than those without a prefix.
macro_rules! twin {
    ($name:ident, $side:literal, $skopeo:literal, $oras:literal, $heading:literal) => {
        #[derive(Args, Clone, Debug, Default)]
        #[command(next_help_heading = $heading)]
        pub(crate) struct $name {
            /// As --username, for this side
            #[arg(id = concat!($side, "username"), long = concat!($side, "username"), aliases = [concat!($skopeo, "username"), concat!($oras, "username")], value_name = "NAME")]
            username: Option<String>,
            /// As --password, for this side
            #[arg(id = concat!($side, "password"), long = concat!($side, "password"), aliases = [concat!($skopeo, "password"), concat!($oras, "password")], value_name = "SECRET", value_parser = secret)]
            password: Option<SecretString>,
            /// As --authfile, for this side
            #[arg(id = concat!($side, "authfile"), long = concat!($side, "authfile"), aliases = [concat!($skopeo, "authfile"), concat!($oras, "authfile")], value_name = "FILE")]
            authfile: Option<PathBuf>,
            /// As --connection, for this side
            #[arg(id = concat!($side, "connection"), long = concat!($side, "connection"), aliases = [concat!($skopeo, "connection"), concat!($oras, "connection")], value_name = "NAME|URL")]
            connection: Option<String>,
            /// As --plain-http, for this side
            #[arg(id = concat!($side, "plain-http"), long = concat!($side, "plain-http"), aliases = [concat!($skopeo, "plain-http"), concat!($oras, "plain-http")], value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
            plain_http: Option<Switch>,
            /// As --insecure, for this side
            #[arg(id = concat!($side, "insecure"), long = concat!($side, "insecure"), aliases = [concat!($skopeo, "insecure"), concat!($oras, "insecure")], value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
            insecure: Option<Switch>,
            /// As --tls-verify, for this side
            #[arg(id = concat!($side, "tls-verify"), long = concat!($side, "tls-verify"), alias = concat!($skopeo, "tls-verify"), hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
            tls_verify: Option<Switch>,
            /// As --creds, for this side
            #[arg(id = concat!($side, "creds"), long = concat!($side, "creds"), alias = concat!($skopeo, "creds"), hide = true, value_name = "USER:PASSWORD", value_parser = credentials)]
            creds: Option<Credentials>,
            /// As --ca-file, for this side
            #[arg(id = concat!($side, "ca-file"), long = concat!($side, "ca-file"), aliases = [concat!($skopeo, "ca-file"), concat!($oras, "ca-file")], value_name = "FILE")]
            ca_file: Vec<PathBuf>,
            /// As --cert-file, for this side
            #[arg(id = concat!($side, "cert-file"), long = concat!($side, "cert-file"), aliases = [concat!($skopeo, "cert-file"), concat!($oras, "cert-file")], value_name = "FILE")]
            cert_file: Option<PathBuf>,
            /// As --key-file, for this side
            #[arg(id = concat!($side, "key-file"), long = concat!($side, "key-file"), aliases = [concat!($skopeo, "key-file"), concat!($oras, "key-file")], value_name = "FILE")]
            key_file: Option<PathBuf>,
        }

        impl $name {
            /// The flags of this side over those for both.
            fn over(&self, both: &Access) -> Side {
                let mut access = both.clone();
                let mut own = set(&mut access.plain_http, &self.plain_http);
                own |= set(&mut access.insecure, &self.insecure);
                own |= set(&mut access.tls_verify, &self.tls_verify);
                if let Some(Credentials(user, password)) = &self.creds {
                    access.username = Some(user.clone());
                    access.password = Some(password.clone());
                    own = true;
                } else if self.username.is_some() || self.password.is_some() {
                    access.username = self.username.clone();
                    access.password = self.password.clone();
                    own = true;
                }
                own |= set(&mut access.authfile, &self.authfile);
                own |= set(&mut access.connection, &self.connection);
                own |= set(&mut access.cert_file, &self.cert_file);
                own |= set(&mut access.key_file, &self.key_file);
                if !self.ca_file.is_empty() {
                    access.ca_file = self.ca_file.clone();
                    own = true;
                }
                let name = if own { $side } else { "" };
                Side { name, access }
            }
        }
    };
}

fn set<T: Clone>(both: &mut Option<T>, own: &Option<T>) -> bool {
    if own.is_some() {
        both.clone_from(own);
    }
    own.is_some()
}

twin!(Source, "src-", "source-", "from-", "Source");
twin!(Target, "dst-", "dest-", "to-", "Destination");

// No doc comment: clap would take it for the help of the command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Twins {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    target: Target,
}

impl Twins {
    pub(crate) fn source(&self, both: &Access) -> Side {
        self.source.over(both)
    }

    pub(crate) fn target(&self, both: &Access) -> Side {
        self.target.over(both)
    }
}

/// Takes the other half of a pair from the environment when one half was given; whole pairs in the
/// environment are for the chain of credentials, which knows of those for single registries.
pub(super) fn complete(access: &mut Access, environment: &Environment) {
    let text = |name: &str| environment.text(name).map(str::to_owned);
    match (&access.username, &access.password) {
        (Some(_), None) => access.password = text("DOCKHAND_PASSWORD").map(SecretString::from),
        (None, Some(_)) => access.username = text("DOCKHAND_USERNAME"),
        _ => {}
    }
}

/// A secret from standard input, without the line's end.
pub(crate) fn read_secret(what: &str) -> Result<SecretString, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(PASSWORD_MAX)
        .read_to_string(&mut text);
    read.map_err(|error| {
        let message = format!("cannot read the {what} from standard input: {error}");
        Failure::plain(Kind::Usage, message)
    })?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        let message = format!("there is no {what} on standard input");
        return Err(Failure::usage(message));
    }
    Ok(SecretString::from(secret.to_owned()))
}

/// What the flags say about a registry.
pub(super) fn apply(
    access: &Access,
    chain: &Chain,
    settings: &mut Settings,
) -> Result<(), Failure> {
    let connection = &mut settings.connection;
    if let Some(plain) = access.is_plain() {
        connection.base = connection.base.clone().with_tls(!plain);
    }
    let tls = &mut connection.tls;
    tls.insecure |= access.is_insecure();
    tls.authorities.extend(access.ca_file.iter().cloned());
    match (&access.cert_file, &access.key_file) {
        (Some(certificate), Some(key)) => {
            tls.identity = Some((certificate.clone(), key.clone()));
        }
        (None, None) => {}
        _ => return Err(Failure::usage("--cert-file and --key-file go together")),
    }
    for rule in &access.resolve {
        let rule = (rule.host.clone(), rule.port, rule.address);
        connection.resolve.push(rule);
    }
    for header in &access.header {
        connection
            .headers
            .append(header.0.clone(), header.1.clone());
    }
    match (&access.username, &access.password) {
        (Some(user), Some(password)) => {
            let credential = Credential::Basic(user.clone(), password.clone());
            let chain = chain.clone().given(credential);
            connection.auth = Auth::Challenge(Arc::new(chain.clone()));
            settings.credentials = Some(chain);
        }
        (Some(user), None) => {
            let message = format!("there is no password for the user {user:?}");
            return Err(Failure::usage(message).hint("give it with --password-stdin"));
        }
        (None, Some(_)) => {
            return Err(Failure::usage("there is a password, but no --username"));
        }
        (None, None) => {}
    }
    Ok(())
}

pub(super) fn be_patient(patience: &Patience, connection: &mut Connection) {
    if let Some(jobs) = patience.jobs {
        connection.lanes = usize::from(jobs);
    }
    connection.rate = patience.rate.or(connection.rate);
    if let Some(retries) = patience.retries {
        connection.retries.count = retries;
    }
    if let Some(longest) = patience.max_wait {
        connection.retries.longest = longest;
    }
    if let Some(timeout) = patience.timeout {
        connection.timeouts.connect = timeout;
        connection.timeouts.answer = timeout;
        connection.timeouts.idle = timeout;
    }
}
