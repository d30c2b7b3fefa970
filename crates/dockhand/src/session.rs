//! What a command of the client works with: clients for registries, places by their names, progress and
//! output, as the flags say.

mod access;
mod drive;
mod misread;
mod place;
mod replace;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dockhand_client::credentials::{Chain, Environment};
use dockhand_client::sync::IMAGES;
use dockhand_client::{BaseUrl, Client, Connections, Observer, Repository, Settings};
use dockhand_oci::{ImageRef, RepoName};
use serde::Serialize;
use tracing::level_filters::LevelFilter;

use crate::flags::{Access, Flags};
use crate::logging;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Failure, Kind};

pub(crate) use access::{Side, Twins, read_secret};
pub(crate) use drive::{Verb, drive};
pub(crate) use misread::is_host;
pub(crate) use place::{Created, Named, Opened, is_registry, named};
pub(crate) use replace::Replace;

/// One run of a command.
#[derive(Debug)]
pub(crate) struct Session {
    pub flags: Flags,
    pub output: Output,
    progress: Arc<Progress>,
    /// The connections that are set up here.
    connections: Connections,
    /// Where credentials come from, the flags of a side aside.
    chain: Chain,
    /// By side and host.
    clients: Mutex<BTreeMap<(&'static str, String), Client>>,
    /// Whether an image goes to standard output, so that nothing else can.
    stdout_taken: AtomicBool,
}

impl Session {
    /// # Errors
    /// When the password, or the configuration, cannot be read.
    pub(crate) fn start(mut flags: Flags) -> Result<Self, Failure> {
        flags.access.settle();
        if flags.access.password_stdin && flags.access.password.is_none() {
            flags.access.password = Some(read_secret("password")?);
        }
        let environment = Environment::of_process();
        access::complete(&mut flags.access, &environment);
        let connections = Connections::load(None, &environment)?;
        let progress = Progress::new(&flags.show, connections.logging().is_some());
        Ok(Self {
            output: Output::new(flags.show.form()),
            connections,
            chain: Chain::new(environment).observed(Arc::clone(&progress) as Arc<dyn Observer>),
            progress,
            clients: Mutex::default(),
            stdout_taken: AtomicBool::new(false),
            flags,
        })
    }

    /// The connections that are set up here.
    pub(crate) fn known_connections(&self) -> &Connections {
        &self.connections
    }

    /// Who watches the work.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.progress) as Arc<dyn Observer>
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How many blobs to move at once, if that was said.
    pub(crate) fn lanes(&self) -> Option<usize> {
        self.flags.patience.jobs.map(usize::from)
    }

    /// How many images to copy at once.
    pub(crate) fn images(&self) -> usize {
        self.lanes().map_or(IMAGES, |jobs| jobs.min(IMAGES))
    }

    /// Prints the answer: as JSON, or what `text` makes of it.
    pub(crate) fn answer<T, F>(&self, value: &T, text: F) -> Result<(), Failure>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&mut dyn std::io::Write, &T) -> std::io::Result<()>,
    {
        self.progress.clear();
        if self.stdout_taken.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.output.answer(value, text)
    }

    /// An image goes to standard output; there will be no answer.
    fn take_stdout(&self) {
        self.stdout_taken.store(true, Ordering::Relaxed);
    }

    /// Says something on standard error in any case.
    pub(crate) fn tell(&self, text: &str) {
        self.progress.tell(text);
    }

    /// Says something on standard error, unless it is to be quiet.
    pub(crate) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// The client for a registry by its name or address, as the flags say.
    pub(crate) fn client(&self, registry: &str) -> Result<Client, Failure> {
        self.client_of(&Side::of(&self.flags.access), registry)
    }

    /// The client for the registry that a command is about: named, or that of the connection.
    pub(crate) fn client_or_default(&self, registry: Option<&str>) -> Result<Client, Failure> {
        self.client(&self.registry_or_default(registry)?)
    }

    /// The registry that a command is about: named, or that of the connection.
    pub(crate) fn registry_or_default(&self, registry: Option<&str>) -> Result<String, Failure> {
        if let Some(registry) = registry {
            return Ok(registry.to_owned());
        }
        let connected = self.connected(&self.flags.access)?;
        let host = connected.map(|settings| settings.connection.base.host());
        host.ok_or_else(|| {
            Failure::usage("no registry is named")
                .hint("name one, or set --connection or DOCKHAND_CONNECTION")
        })
    }

    /// The client for a registry on one side of a copy. Each registry has one on each side.
    pub(crate) fn client_of(&self, side: &Side, registry: &str) -> Result<Client, Failure> {
        let connection = self.settings(&side.access, registry)?.connection;
        let key = (side.name, connection.base.host());
        let poisoned = || Failure::plain(Kind::Failed, "another thread of this program failed");
        let mut clients = self.clients.lock().map_err(|_| poisoned())?;
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let chain = self.chain(&side.access);
        let is_for_all = |host: &str| side.has_credentials() || chain.uses_common_variables(host);
        let other = clients
            .keys()
            .find(|(name, host)| *name == side.name && is_for_all(host));
        if let (Some((_, other)), true) = (other, is_for_all(&key.1)) {
            let message = format!(
                "the credentials are for one registry, here are {other} and {}",
                key.1
            );
            return Err(Failure::usage(message).hint(
                "sign in with `dockhand login`, or use --src-username and --dst-username where there are",
            ));
        }
        let client = Client::with_observer(connection, self.observer())?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// How to reach a registry.
    pub(crate) fn settings(&self, access: &Access, registry: &str) -> Result<Settings, Failure> {
        let wanted: BaseUrl = registry.parse()?;
        let mut settings = match self.connected(access)? {
            Some(named) if named.connection.base.host() == wanted.host() => named,
            _ => self.connections(access).for_host(registry)?,
        };
        access::apply(access, &self.chain(access), &mut settings)?;
        access::be_patient(&self.flags.patience, &mut settings.connection);
        let said = logging::level(&self.flags.show);
        settings.connection.logging = match settings.logging {
            Some(own) if said == LevelFilter::OFF => own,
            _ => said,
        };
        Ok(settings)
    }

    /// Where credentials are kept.
    pub(crate) fn chain(&self, access: &Access) -> Chain {
        match &access.authfile {
            Some(file) => self.chain.clone().authfile(file),
            None => self.chain.clone(),
        }
    }

    fn connections(&self, access: &Access) -> Connections {
        let connections = self.connections.clone();
        connections.with_credentials(self.chain(access))
    }

    /// The connection that --connection names, by its name or the registry's address; else the default
    /// one, if one is set up.
    fn connected(&self, access: &Access) -> Result<Option<Settings>, Failure> {
        let connections = self.connections(access);
        let Some(name) = access.connection.as_deref() else {
            return Ok(connections.default()?);
        };
        let is_known = connections.names().any(|known| known == name);
        let is_address = name.contains(['.', ':', '/']) || name == "localhost";
        Ok(Some(match is_address && !is_known {
            true => connections.for_host(name)?,
            false => connections.get(name)?,
        }))
    }

    /// An image reference in full; without a registry in it, it is in that of the connection.
    pub(crate) fn image_ref(&self, side: &Side, text: &str) -> Result<ImageRef, Failure> {
        let text = match text.strip_prefix("docker://") {
            Some(rest) => rest,
            None => match misread::misread(text) {
                Some(failure) => return Err(failure),
                None => text,
            },
        };
        let image: ImageRef = text.parse().map_err(dockhand_client::Error::from)?;
        let names_hub = ["docker.io/", "index.docker.io/"];
        let says_registry =
            image.registry != "docker.io" || names_hub.iter().any(|hub| text.starts_with(hub));
        match self.connected(&side.access)? {
            Some(settings) if !says_registry => {
                let text = format!("{}/{text}", settings.connection.base.host());
                Ok(text.parse().map_err(dockhand_client::Error::from)?)
            }
            _ => Ok(image),
        }
    }

    /// An image of a registry: its repository, and the reference in full.
    pub(crate) fn image(&self, text: &str) -> Result<(Repository, ImageRef), Failure> {
        let side = Side::of(&self.flags.access);
        let image = self.image_ref(&side, text)?;
        let client = self.client_of(&side, &image.registry)?;
        Ok((client.repository(image.repository.clone()), image))
    }

    /// A repository of a registry, which has neither tag nor digest.
    pub(crate) fn repository(&self, text: &str) -> Result<Repository, Failure> {
        let (repository, image) = self.image(text)?;
        if image.tag.is_some() || image.digest.is_some() {
            let message = format!("{text} names an image; a repository has no tag and no digest");
            return Err(Failure::usage(message));
        }
        Ok(repository)
    }

    /// Another repository of the same registry: `team/app`, or in full.
    pub(crate) fn sibling(&self, of: &Repository, text: &str) -> Result<RepoName, Failure> {
        if let Ok(image) = text.parse::<ImageRef>()
            && image.registry == of.client().host()
        {
            return Ok(image.repository);
        }
        Ok(text.parse().map_err(dockhand_client::Error::from)?)
    }
}
