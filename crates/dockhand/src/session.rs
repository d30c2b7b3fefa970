//! What a command of the client works with: clients for registries, places by their names, progress and
//! output, as the flags say.

mod access;
mod drive;
mod place;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dockhand_client::{Client, Connection, Observer, Repository};
use dockhand_oci::{ImageRef, RepoName};
use serde::Serialize;

use crate::flags::{Access, Flags};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Failure, Kind};

pub(crate) use access::{Side, Twins};
pub(crate) use drive::{Verb, With};
pub(crate) use place::{Created, Named, Opened, is_registry, named};

/// One run of a command.
#[derive(Debug)]
pub(crate) struct Session {
    pub flags: Flags,
    pub output: Output,
    progress: Arc<Progress>,
    /// By side and host.
    clients: Mutex<BTreeMap<(&'static str, String), Client>>,
    /// Whether an image goes to standard output, so that nothing else can.
    stdout_taken: AtomicBool,
}

impl Session {
    /// # Errors
    /// When the password cannot be read.
    pub(crate) fn start(mut flags: Flags) -> Result<Self, Failure> {
        if flags.access.password_stdin && flags.access.password.is_none() {
            flags.access.password = Some(access::read_password()?);
        }
        Ok(Self {
            output: Output::new(flags.show.form()),
            progress: Arc::new(Progress::new(&flags.show)),
            clients: Mutex::default(),
            stdout_taken: AtomicBool::new(false),
            flags,
        })
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
        match (registry, &self.flags.access.connection) {
            (Some(registry), _) => self.client(registry),
            (None, Some(_)) => {
                let base = self.connected(&self.flags.access)?;
                let host = base.map(|connection| connection.base.host());
                self.client(&host.unwrap_or_default())
            }
            (None, None) => Err(Failure::usage("no registry is named")
                .hint("name one, or set --connection or DOCKHAND_CONNECTION")),
        }
    }

    /// The client for a registry on one side of a copy. Each registry has one on each side.
    pub(crate) fn client_of(&self, side: &Side, registry: &str) -> Result<Client, Failure> {
        let connection = self.connection(&side.access, registry)?;
        let key = (side.name, connection.base.host());
        let poisoned = || Failure::plain(Kind::Failed, "another thread of this program failed");
        let mut clients = self.clients.lock().map_err(|_| poisoned())?;
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let other = clients.keys().find(|(name, _)| *name == side.name);
        if let (Some((_, other)), true) = (other, side.has_credentials()) {
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
    fn connection(&self, access: &Access, registry: &str) -> Result<Connection, Failure> {
        let named = self.connected(access)?;
        let wanted = Connection::to(registry)?;
        let mut connection = match named {
            Some(named) if named.base.host() == wanted.base.host() => named,
            _ => wanted,
        };
        access::apply(access, &mut connection)?;
        access::be_patient(&self.flags.patience, &mut connection);
        Ok(connection)
    }

    /// The connection that --connection names.
    fn connected(&self, access: &Access) -> Result<Option<Connection>, Failure> {
        let named = access.connection.as_deref();
        named.map(access::named_connection).transpose()
    }

    /// An image reference in full; without a registry in it, it is in that of the connection.
    pub(crate) fn image_ref(&self, side: &Side, text: &str) -> Result<ImageRef, Failure> {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let image: ImageRef = text.parse().map_err(dockhand_client::Error::from)?;
        let names_hub = ["docker.io/", "index.docker.io/"];
        let says_registry =
            image.registry != "docker.io" || names_hub.iter().any(|hub| text.starts_with(hub));
        match self.connected(&side.access)? {
            Some(connection) if !says_registry => {
                let text = format!("{}/{text}", connection.base.host());
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
