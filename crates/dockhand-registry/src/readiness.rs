//! Whether the registry can take a push right now, and whether what it writes will be found again.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::metadata::MetadataError;
use crate::presence::{Gone, Presence};
use crate::registry::Registry;

/// How long a look at the files may take. A disk that needs longer does not answer pushes either.
const WAIT: Duration = Duration::from_secs(5);

/// Why a registry is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Its files are not those that it has open: what it wrote would be lost.
    #[error("{0}")]
    Gone(Gone),
    /// The disk does not answer.
    #[error("the data folder could not be looked at within {WAIT:?}")]
    Slow,
    /// The metadata does not take writes, or cannot be read where nothing is written.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// The files of a registry, compared again and again with what it has open.
#[derive(Debug)]
pub(crate) struct Watch {
    presence: Presence,
    /// One look at a time, so that a disk that hangs holds one thread.
    turn: Arc<Mutex<()>>,
    gone: OnceLock<Gone>,
}

impl Watch {
    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        self.presence.root()
    }

    async fn look(&self) -> Result<(), NotReady> {
        let looking = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let presence = self.presence.clone();
            let look = move || {
                let _turn = turn;
                presence.check()
            };
            tokio::task::spawn_blocking(look).await
        };
        match tokio::time::timeout(WAIT, looking).await {
            Ok(Ok(found)) => found.map_err(NotReady::Gone),
            Ok(Err(_)) | Err(_) => Err(NotReady::Slow),
        }
    }
}

impl Registry {
    /// Watches the files that it has open, from [`Registry::ready`] and [`Registry::look`].
    #[must_use]
    pub fn watching(self, presence: Presence) -> Self {
        let watch = Watch {
            presence,
            turn: Arc::default(),
            gone: OnceLock::new(),
        };
        Self {
            watch: Some(Arc::new(watch)),
            ..self
        }
    }

    /// Whether it can write, tried at most once a second, and whether its files are still those that it
    /// has open. A registry that only reads is ready when it can read.
    ///
    /// # Errors
    /// [`NotReady`] says why not.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.look().await?;
        Ok(self.metadata.ready().await?)
    }

    /// Whether its files are still those that it has open. When they are not, nothing more is written
    /// from then on: it would be acknowledged and lost.
    ///
    /// # Errors
    /// [`NotReady::Gone`], or [`NotReady::Slow`] when the disk does not answer.
    pub async fn look(&self) -> Result<(), NotReady> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        if let Some(gone) = watch.gone.get() {
            return Err(NotReady::Gone(gone.clone()));
        }
        let found = watch.look().await;
        if let Err(NotReady::Gone(gone)) = &found {
            self.metadata.fail();
            // Somebody else may have found it at the same time.
            let _ = watch.gone.set(gone.clone());
        }
        found
    }
}
