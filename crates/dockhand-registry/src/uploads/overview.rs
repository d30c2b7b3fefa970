//! All uploads of a registry, for who runs it: listed, counted, dropped.

use dockhand_oci::UploadId;

use crate::error::Error;
use crate::lists::{Listing, Paging, listing};
use crate::metadata::{UploadDropped, UploadEntry, UploadTotals};
use crate::registry::Registry;

impl Registry {
    /// The uploads that are open in any repository, in the order of their identities.
    ///
    /// # Errors
    /// Of the metadata.
    pub async fn uploads(&self, paging: Paging) -> Result<Listing<UploadEntry>, Error> {
        let page = self.keyset(paging);
        let rows = self.metadata.uploads(&page).await?;
        Ok(listing(rows, page.limit, |entry| entry.id.to_string()))
    }

    /// How many uploads are open, and how many bytes they have.
    ///
    /// # Errors
    /// Of the metadata.
    pub async fn upload_totals(&self) -> Result<UploadTotals, Error> {
        Ok(self.metadata.upload_totals().await?)
    }

    /// Drops an upload of any repository, with its bytes; with `bytes` only when it has so many, so that
    /// one that has gone on since it was listed stays.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`], [`Error::UploadMoved`]; [`Error::UploadBusy`] at once when a request is
    /// writing to it.
    pub async fn drop_upload(&self, id: UploadId, bytes: Option<u64>) -> Result<(), Error> {
        self.may_write()?;
        let _turn = self.sessions.try_enter(id).ok_or(Error::UploadBusy(id))?;
        match self.metadata.drop_upload(id, bytes).await? {
            UploadDropped::Done(staged) => {
                self.discard_later(id, staged);
                Ok(())
            }
            UploadDropped::Unknown => Err(Error::UploadUnknown(id)),
            UploadDropped::Moved(at) => Err(Error::UploadMoved { id, at }),
        }
    }
}
