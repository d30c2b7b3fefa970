//! The file system that the layers of an image make together.
//!
//! Layers are read from the top down, each once, and a file is passed on when it is met: what lies in an
//! upper layer, or was deleted there, covers what lies below (`cover`). So a merged file system costs
//! memory for its paths and nothing for its content, and no temporary files. The one exception are hard
//! links whose file was replaced by an upper layer: for them a layer is read a second time.
//!
//! Rules: <https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets>

mod cat;
mod cover;
mod export;
mod listing;
mod merge;
mod path;
mod unpack;

use dockhand_oci::Descriptor;

pub use cat::{Found, cat, find};
pub(crate) use export::TarSink;
pub use export::{Exported, export};
pub use listing::{FileEntry, FileKind, files};
pub(crate) use listing::{Listing, View};
pub use path::ImagePath;
pub use unpack::{Absolute, Special, Unpack, Unpacked, unpack};
pub(crate) use unpack::{leads_out, unpack_tar};

use crate::layers::with_layer;
use crate::{Result, Store};
use merge::Merge;
pub(crate) use merge::Sink;

/// How much a file system may have: what keeps a small archive from becoming endless content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most members of the tar files, those that do not show included. Their paths are in memory.
    pub entries: u64,
    /// The most bytes of content: of one layer, shown or not, and of all that is passed on.
    pub bytes: u64,
}

impl Default for Limits {
    /// Four million files, ten times what the largest images have; 256 GiB.
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            bytes: 256 << 30,
        }
    }
}

/// Passes what shows of `layers`, the lowest first as a manifest has them, on to `sink`.
pub(crate) async fn walk<S: Sink + 'static>(
    store: &dyn Store,
    layers: &[Descriptor],
    limits: Limits,
    sink: S,
) -> Result<S> {
    let mut state = (Merge::new(limits), sink);
    for layer in layers.iter().rev() {
        let (mut merge, mut sink) = state;
        state = with_layer(store, layer, move |plain| {
            merge.layer(plain, &mut sink)?;
            Ok((merge, sink))
        })
        .await?;
        if state.0.wants_again() {
            let (mut merge, mut sink) = state;
            state = with_layer(store, layer, move |plain| {
                merge.again(plain, &mut sink)?;
                Ok((merge, sink))
            })
            .await?;
        }
        state.0.end_layer();
    }
    state.0.finish()?;
    Ok(state.1)
}
