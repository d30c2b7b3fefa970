//! The drawing of the store, and the only maker of keys.
//!
//! ```text
//! <root>/
//! ├── dockhand.db, -wal, -shm                    the metadata (SQLite)
//! ├── dockhand.reserve                           space for deletes on a disk that is full
//! ├── dockhand.lock                              held by the one process that owns the folder
//! ├── admin.sock                                 the administration of a server that runs
//! ├── uploads/<upload id>                        bytes that have come but are no blob yet
//! └── docker/registry/v2/blobs/
//!     └── <algorithm>/<first two>/<hex>/
//!         ├── data                               the first generation: where CNCF Distribution has it
//!         └── data.<n>                           a later one, after the first was deleted
//! ```
//!
//! A generation is never used twice. So a delete that comes late hits bytes that nobody reads, and
//! never those of a blob that has been pushed again since.

use dockhand_oci::Digest;

use crate::blob_store::BlobKey;

/// Where blobs lie, below the root.
pub const BLOBS: &str = "docker/registry/v2/blobs";
/// Where uploads are staged, below the root.
pub const UPLOADS: &str = "uploads";
/// The metadata, below the root.
pub const DATABASE: &str = "dockhand.db";
/// The log of the metadata, which belongs to it.
pub const LOG: &str = "dockhand.db-wal";
/// The index of that log, which can be made from it.
pub const LOG_INDEX: &str = "dockhand.db-shm";
/// Where CNCF Distribution keeps its repositories, below the root.
pub const REPOSITORIES: &str = "docker/registry/v2/repositories";
/// Ends the name of the file beside the metadata that takes up space.
pub const RESERVE: &str = "reserve";
/// The socket of the administration, below the root.
pub const ADMIN_SOCKET: &str = "admin.sock";
/// The lock of the owner, below the root.
pub const LOCK: &str = "dockhand.lock";

/// The key of a generation of a blob; generations count from 1.
#[must_use]
pub fn blob_key(digest: &Digest, generation: u32) -> BlobKey {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    let shard = hex.get(..2).unwrap_or_default();
    let first = format!("{BLOBS}/{algorithm}/{shard}/{hex}/data");
    BlobKey(if generation <= 1 {
        first.into()
    } else {
        format!("{first}.{generation}").into()
    })
}

#[cfg(test)]
mod tests {
    use dockhand_oci::Algorithm;

    use super::blob_key;

    #[test]
    fn the_first_generation_lies_where_distribution_has_it() {
        let digest = Algorithm::Sha256.digest(b"");
        assert_eq!(
            blob_key(&digest, 1).as_str(),
            "docker/registry/v2/blobs/sha256/e3/\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data"
        );
        assert!(blob_key(&digest, 7).as_str().ends_with("b855/data.7"));
    }
}
