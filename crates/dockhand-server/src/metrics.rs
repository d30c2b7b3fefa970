//! What is counted. No label has a name that a client chooses, so their number stays small.

#[cfg(target_os = "linux")]
mod process;
mod storage;
mod uploads;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use storage::Storage;
use uploads::Uploads;

/// What a request is counted under.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Labels {
    pub(crate) method: &'static str,
    pub(crate) endpoint: &'static str,
    /// 499 when the client was gone before there was an answer.
    pub(crate) status: u16,
}

/// The endpoint alone.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct EndpointLabel {
    pub(crate) endpoint: &'static str,
}

/// From half a millisecond (a manifest) to two minutes (a large layer), in seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 20.0, 60.0, 120.0];

/// The counters of one application.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    /// Those under names that are not ours alone.
    common: Registry,
    pub(crate) requests: Family<Labels, Counter>,
    pub(crate) sent: Family<EndpointLabel, Counter>,
    pub(crate) received: Family<EndpointLabel, Counter>,
    pub(crate) seconds: Family<EndpointLabel, Histogram, fn() -> Histogram>,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) uploads: Uploads,
    pub(crate) storage: Storage,
}

/// What every program tells of its process, where that can be found out.
fn common() -> Registry {
    #[allow(unused_mut, reason = "there is something to register on Linux")]
    let mut registry = Registry::with_prefix("process");
    #[cfg(target_os = "linux")]
    registry.register_collector(Box::new(process::OwnProcess));
    registry
}

/// Writes a value that is found out when it is asked for.
fn constant(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: &impl EncodeMetric,
) -> std::fmt::Result {
    let metric = encoder.encode_descriptor(name, help, unit, value.metric_type())?;
    value.encode(metric)
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("dockhand");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
        let metrics = Self {
            requests: Family::default(),
            sent: Family::default(),
            received: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            uploads: Uploads::register(&mut registry),
            storage: Storage::register(&mut registry),
            registry: Mutex::default(),
            common: common(),
        };
        registry.register(
            "http_requests",
            "Requests answered",
            metrics.requests.clone(),
        );
        registry.register(
            "http_sent_bytes",
            "Bytes of bodies sent",
            metrics.sent.clone(),
        );
        registry.register(
            "http_received_bytes",
            "Bytes of bodies received",
            metrics.received.clone(),
        );
        registry.register(
            "http_request_seconds",
            "Time to the last byte",
            metrics.seconds.clone(),
        );
        registry.register(
            "http_in_flight",
            "Requests being answered",
            metrics.in_flight.clone(),
        );
        registry.register(
            "http_connections",
            "Open connections",
            metrics.connections.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            ..metrics
        }
    }
}

impl Metrics {
    /// Counts a finished request.
    pub(crate) fn finished(&self, labels: Labels, sent: u64, received: u64, took: Duration) {
        let endpoint = EndpointLabel {
            endpoint: labels.endpoint,
        };
        self.requests.get_or_create(&labels).inc();
        self.sent.get_or_create(&endpoint).inc_by(sent);
        self.received.get_or_create(&endpoint).inc_by(received);
        self.seconds
            .get_or_create(&endpoint)
            .observe(took.as_secs_f64());
        self.in_flight.dec();
    }

    /// All of them as text.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let written = encode_registry(&mut text, &registry)
            .and_then(|()| encode_registry(&mut text, &self.common))
            .and_then(|()| encode_eof(&mut text));
        if let Err(error) = written {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}
