//! The registry itself: its two stores, its settings, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use dockhand_oci::UploadId;

use crate::adoptions::Adoptions;
use crate::blob_store::BlobStore;
use crate::error::Error;
use crate::metadata::{Metadata, UploadLimits};
use crate::readiness::Watch;
use crate::sessions::Sessions;
use crate::usage::Counter;

/// What an operator may set of the rules. The defaults are those of a registry that is safe to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest manifest in bytes. The specification asks for at least 4 MiB.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>
    pub manifest_limit: u64,
    /// Largest blob in bytes.
    pub blob_limit: u64,
    /// Tags that one push may set. The specification asks for at least 10; clients put them all into
    /// one request line, which ends near 8 KiB.
    pub tags_limit: usize,
    /// Largest page of any list.
    pub page_limit: usize,
    /// Uploads that may be open at once.
    pub uploads: UploadLimits,
    /// How long an upload may lie still before it is dropped.
    pub upload_expiry: Duration,
    /// The same of an upload without a byte; never longer than that of any upload.
    pub empty_upload_expiry: Duration,
    /// Whether tags, manifests and blobs may be deleted.
    pub delete: bool,
    /// Whether nothing may be written at all.
    pub read_only: bool,
    /// Whether a manifest may name content that the repository does not have.
    pub sparse: bool,
    /// Whether the size in a descriptor must be that of the content, where the repository has it.
    pub check_sizes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            manifest_limit: 4 << 20,
            blob_limit: u64::MAX,
            tags_limit: 50,
            page_limit: 1000,
            uploads: UploadLimits {
                per_client: 5000,
                per_repository: 1000,
                in_all: 10_000,
            },
            upload_expiry: Duration::from_secs(7 * 24 * 3600),
            empty_upload_expiry: Duration::from_secs(3600),
            delete: true,
            read_only: false,
            sparse: false,
            check_sizes: true,
        }
    }
}

/// A registry. Cheap to clone; all clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) adoptions: Arc<Adoptions>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) watch: Option<Arc<Watch>>,
    pub(crate) counter: Arc<Counter>,
}

impl Registry {
    /// A registry over its two stores.
    #[must_use]
    pub fn new(blobs: Arc<dyn BlobStore>, metadata: Arc<Metadata>, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self {
            blobs,
            metadata,
            sessions: Arc::default(),
            adoptions: Arc::default(),
            settings,
            watch: None,
            counter: Arc::default(),
        }
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The metadata, for readiness and shutdown.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn may_write(&self) -> Result<(), Error> {
        if self.settings.read_only {
            Err(Error::ReadOnly)
        } else {
            Ok(())
        }
    }

    pub(crate) fn may_delete(&self) -> Result<(), Error> {
        self.may_write()?;
        if self.settings.delete {
            Ok(())
        } else {
            Err(Error::DeleteDisabled)
        }
    }
}

/// A fresh identity for an upload: 128 bits that nobody can guess.
pub(crate) fn new_upload_id() -> Result<UploadId, Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|e| Error::Internal(Box::new(e)))?;
    Ok(UploadId::from_random(u128::from_be_bytes(bits)))
}

/// Runs what must not stop half way: it goes on when the client, and with it the caller, is gone.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work)
        .await
        .map_err(|e| Error::Internal(Box::new(e)))?
}
