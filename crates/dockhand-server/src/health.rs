//! `/livez`, `/readyz`, metrics where they are wanted, and a word to whoever opens `/` in a browser

use axum::body::Body;
use dockhand_registry::NotReady;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::app::App;
use crate::request::Asked;
use crate::respond::bytes_as;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The answer, when the path is one of these.
pub(crate) async fn answer(app: &App, asked: &Asked) -> Option<Response<Body>> {
    if !matches!(asked.method, Method::GET | Method::HEAD) {
        return None;
    }
    match asked.path() {
        "/" => Some(bytes_as(
            TEXT,
            "This is a registry of container images; its API is at /v2/.\n".into(),
        )),
        "/livez" => Some(bytes_as(TEXT, "alive\n".into())),
        "/readyz" => Some(readiness(app).await),
        path if app.options.metrics_path.as_deref() == Some(path) => metrics(app).await,
        _ => None,
    }
}

/// What the separate address for metrics answers: health and metrics, nothing else.
pub(crate) async fn aside(app: &App, path: &str, metrics_path: &str) -> Response<Body> {
    let found = match path {
        "/livez" => Some(bytes_as(TEXT, "alive\n".into())),
        "/readyz" => Some(readiness(app).await),
        path if path == metrics_path => metrics(app).await,
        _ => None,
    };
    found.unwrap_or_else(|| {
        let mut response = bytes_as(
            TEXT,
            format!("only {metrics_path}, /livez and /readyz are here\n").into(),
        );
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    })
}

/// Ready is what could take a push right now, or, when it is read-only, a pull.
async fn readiness(app: &App) -> Response<Body> {
    let Err(error) = app.registry.ready().await else {
        return bytes_as(TEXT, "ready\n".into());
    };
    tracing::warn!(%error, "not ready");
    // Paths are for the log.
    let why = match error {
        NotReady::Gone(_) => "the data folder is not the one that was opened",
        NotReady::Slow => "the data folder does not answer",
        NotReady::Metadata(_) if app.registry.settings().read_only => "the metadata cannot be read",
        NotReady::Metadata(_) => "the metadata cannot be written",
    };
    let mut response = bytes_as(TEXT, format!("not ready: {why}\n").into());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

async fn metrics(app: &App) -> Option<Response<Body>> {
    let metrics = app.metrics.as_ref()?;
    tokio::join!(
        metrics.uploads.refresh(&app.registry),
        metrics.storage.refresh(&app.registry)
    );
    Some(bytes_as(OPEN_METRICS, metrics.encode().into()))
}
