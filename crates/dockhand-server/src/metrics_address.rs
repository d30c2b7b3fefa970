//! Metrics and health on an address of their own, so that the main one need not show them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::{health, listen};

/// Scrapers and probes: a handful. More wait.
const CONNECTIONS: usize = 32;
/// For the head of a request, and for a connection that lies still.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, path: String) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (app, path) = (Arc::clone(&app), path.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (app, path) = (Arc::clone(&app), path.clone());
                async move {
                    let mut response = health::aside(&app, request.uri().path(), &path).await;
                    listen::date(&app, &mut response);
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
            drop(place);
        });
    }
}
