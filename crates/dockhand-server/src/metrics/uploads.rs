//! Uploads that are open, counted when somebody reads the metrics.

use std::sync::atomic::AtomicU64;

use dockhand_registry::Registry;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Metrics, Unit};

type Number = Gauge<u64, AtomicU64>;

/// What is known of open uploads.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    open: Number,
    empty: Number,
    staged: Number,
}

impl Uploads {
    /// Gauges that are written with all others.
    pub(super) fn register(metrics: &mut Metrics) -> Self {
        let this = Self::default();
        metrics.register("uploads_open", "Uploads that are open", this.open.clone());
        metrics.register(
            "uploads_empty",
            "Uploads that are open and have no byte yet",
            this.empty.clone(),
        );
        metrics.register_with_unit(
            "uploads_staged",
            "Bytes that open uploads have so far",
            Unit::Bytes,
            this.staged.clone(),
        );
        this
    }

    /// Counts them. Should that fail, the last numbers stay, and the log has the reason.
    pub(crate) async fn refresh(&self, registry: &Registry) {
        match registry.upload_totals().await {
            Ok(totals) => {
                self.open.set(totals.open);
                self.empty.set(totals.empty);
                self.staged.set(totals.bytes);
            }
            Err(error) => tracing::warn!(%error, "the open uploads could not be counted"),
        }
    }
}
