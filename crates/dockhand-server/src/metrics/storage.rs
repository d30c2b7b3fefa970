//! What the registry holds and how much room is left.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dockhand_registry::{Contents, Registry, Space};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry as Metrics, Unit};

/// What was found out for the last scrape. What is not known is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage(Arc<Mutex<Known>>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    contents: Option<Contents>,
    space: Option<Space>,
}

impl Storage {
    pub(super) fn register(metrics: &mut Metrics) -> Self {
        let this = Self::default();
        metrics.register_collector(Box::new(this.clone()));
        this
    }

    /// Finds it out anew, as far as it is due. It never takes much longer than a second.
    pub(crate) async fn refresh(&self, registry: &Registry) {
        let known = Known {
            contents: registry.contents().await,
            space: registry.space().await,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Collector for Storage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contents) = known.contents {
            contents_of(&mut encoder, &contents)?;
        }
        if let Some(space) = known.space {
            space_of(&mut encoder, &space)?;
        }
        Ok(())
    }
}

type Row<'a> = (&'a str, &'a str, Option<&'a Unit>, u64);

fn contents_of(encoder: &mut DescriptorEncoder<'_>, contents: &Contents) -> fmt::Result {
    gauges(
        encoder,
        &[
            (
                "repositories",
                "Repositories that have a manifest",
                None,
                contents.repositories,
            ),
            (
                "manifests",
                "Manifests, in each repository that has them",
                None,
                contents.manifests,
            ),
            ("tags", "Tags", None, contents.tags),
            ("blobs", "Blobs, each once", None, contents.blobs),
            (
                "blobs_stored",
                "Bytes of these blobs",
                Some(&Unit::Bytes),
                contents.blob_bytes,
            ),
        ],
    )
}

fn space_of(encoder: &mut DescriptorEncoder<'_>, space: &Space) -> fmt::Result {
    gauges(
        encoder,
        &[
            (
                "disk_total",
                "Size of the file system of the data folder",
                Some(&Unit::Bytes),
                space.total,
            ),
            (
                "disk_free",
                "What is free of it",
                Some(&Unit::Bytes),
                space.free,
            ),
            (
                "disk_free_inodes",
                "Files that can still be created there",
                None,
                space.free_inodes,
            ),
            (
                "database",
                "Size of the database",
                Some(&Unit::Bytes),
                space.database,
            ),
            (
                "database_log",
                "Size of the database's write-ahead log",
                Some(&Unit::Bytes),
                space.log,
            ),
        ],
    )
}

/// Writes gauges: name, help, unit and value each.
fn gauges(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<'_>]) -> fmt::Result {
    for (name, help, unit, value) in rows {
        super::constant(encoder, name, help, *unit, &ConstGauge::new(*value))?;
    }
    Ok(())
}
