//! Changes of what an image says: labels, environment, command and the like.

use async_trait::async_trait;
use dockhand_oci::Platform;

use super::{Document, Draft, Edit, Setting, annotate};
use crate::{Error, ErrorKind, Result};

/// What to set in the config and the manifest of an image; what is empty is left as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Labels.
    pub labels: Vec<Setting>,
    /// Variables of the environment.
    pub env: Vec<Setting>,
    /// What runs. It takes away the arguments, which belonged to what ran before, unless `cmd` is set too.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or what runs when there is no entrypoint.
    pub cmd: Option<Vec<String>>,
    /// The user, and group, that it runs as.
    pub user: Option<String>,
    /// The directory that it runs in.
    pub workdir: Option<String>,
    /// Ports that it listens on: `80`, `53/udp`, `8000-8010/tcp`.
    pub expose: Vec<String>,
    /// Annotations of the manifest.
    pub annotations: Vec<Setting>,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
    /// What it runs on.
    pub platform: Option<Platform>,
}

#[async_trait]
impl Edit for Changes {
    async fn apply(&self, draft: &mut Draft) -> Result<()> {
        draft.config.within("config", |run| self.run(run))?;
        if let Some(created) = self.created {
            draft.config.set("created", &created.to_string())?;
        }
        if let Some(platform) = &self.platform {
            set_platform(&mut draft.config, platform)?;
            draft.platform.clone_from(platform);
        }
        annotate(&mut draft.manifest, &self.annotations)
    }
}

impl Changes {
    fn run(&self, run: &mut Document) -> Result<()> {
        if !self.env.is_empty() {
            let env: Vec<String> = run.get("Env")?.unwrap_or_default();
            set_or_remove(run, "Env", &changed_env(env, &self.env)?)?;
        }
        if !self.labels.is_empty() {
            run.within("Labels", |labels| {
                for (key, value) in &self.labels {
                    match value {
                        Some(value) => labels.set(key, value)?,
                        None => labels.remove(key),
                    }
                }
                Ok(())
            })?;
        }
        if let Some(entrypoint) = &self.entrypoint {
            set_or_remove(run, "Entrypoint", entrypoint)?;
            if self.cmd.is_none() {
                run.remove("Cmd");
            }
        }
        if let Some(cmd) = &self.cmd {
            set_or_remove(run, "Cmd", cmd)?;
        }
        for (field, value) in [("User", &self.user), ("WorkingDir", &self.workdir)] {
            match value.as_deref() {
                Some("") => run.remove(field),
                Some(value) => run.set(field, value)?,
                None => {}
            }
        }
        if !self.expose.is_empty() {
            run.within("ExposedPorts", |ports| {
                for port in &self.expose {
                    ports.set(&port_of(port)?, &serde_json::json!({}))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn set_or_remove(run: &mut Document, field: &str, words: &[String]) -> Result<()> {
    if words.is_empty() {
        run.remove(field);
        return Ok(());
    }
    run.set(field, words)
}

/// The name of a variable.
pub(super) fn variable(line: &str) -> &str {
    line.split_once('=').map_or(line, |(name, _)| name)
}

/// The environment with these variables set, in their places, or taken away.
fn changed_env(mut env: Vec<String>, settings: &[Setting]) -> Result<Vec<String>> {
    for (name, value) in settings {
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("`{}` is no name of a variable", name.escape_debug());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let place = env.iter().position(|line| variable(line) == name);
        env.retain({
            let mut seen = false;
            move |line| {
                // The first one of a name stays, when it is to have a value.
                variable(line) != name || (value.is_some() && !std::mem::replace(&mut seen, true))
            }
        });
        let Some(value) = value else { continue };
        let line = format!("{name}={value}");
        match place.and_then(|place| env.get_mut(place)) {
            Some(own) => *own = line,
            None => env.push(line),
        }
    }
    Ok(env)
}

/// `80` as `80/tcp`, as configs have it.
fn port_of(text: &str) -> Result<String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let range = match ports.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)),
        None => number(ports).map(|port| (port, port)),
    };
    let good = range.is_some_and(|(first, last)| first <= last)
        && ["tcp", "udp", "sctp"].contains(&protocol);
    match good {
        true => Ok(format!("{ports}/{protocol}")),
        false => {
            let message = format!("`{}` is no port", text.escape_debug());
            Err(Error::new(ErrorKind::Invalid, message)
                .with_hint("write it as 80, 53/udp or 8000-8010/tcp"))
        }
    }
}

fn set_platform(config: &mut Document, platform: &Platform) -> Result<()> {
    config.set("architecture", &platform.architecture)?;
    config.set("os", &platform.os)?;
    for (field, value) in [
        ("variant", &platform.variant),
        ("os.version", &platform.os_version),
    ] {
        match value {
            Some(value) => config.set(field, value)?,
            None => config.remove(field),
        }
    }
    match platform.os_features.is_empty() {
        true => config.remove("os.features"),
        false => config.set("os.features", &platform.os_features)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_places() {
        let env = || ["PATH=/bin", "A=1", "B", "A=2"].map(str::to_owned).to_vec();
        for (name, value, expected) in [
            ("A", Some("3"), vec!["PATH=/bin", "A=3", "B"]),
            ("B", Some("="), vec!["PATH=/bin", "A=1", "B==", "A=2"]),
            ("C", Some(""), vec!["PATH=/bin", "A=1", "B", "A=2", "C="]),
            ("A", None, vec!["PATH=/bin", "B"]),
            ("D", None, vec!["PATH=/bin", "A=1", "B", "A=2"]),
        ] {
            let settings = [(name.to_owned(), value.map(str::to_owned))];
            assert_eq!(changed_env(env(), &settings).unwrap(), expected, "{name}");
        }
        for name in ["", "A=B"] {
            assert!(changed_env(env(), &[(name.to_owned(), None)]).is_err());
        }
    }

    #[test]
    fn ports_are_written_in_full() {
        for (text, expected) in [
            ("80", "80/tcp"),
            ("53/udp", "53/udp"),
            ("1-2/sctp", "1-2/sctp"),
        ] {
            assert_eq!(port_of(text).unwrap(), expected);
        }
        for text in ["", "0", "65536", "2-1", "80/http", "a/tcp", "-1"] {
            assert!(port_of(text).is_err(), "{text}");
        }
    }
}
