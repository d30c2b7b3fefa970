//! One request on the wire, once: watched, so that a peer that falls silent is noticed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::request::{Sending, Stage};
use super::{Answer, Elsewhere, Http, Request, failure, same_origin, tls};
use crate::{Connection, Error, ErrorKind, ProxySettings, Result, Timeouts};

/// The network stack for a connection. HTTP/1.1 alone: blobs move faster on several connections than
/// on one whose flow control they share, and each stays independent of the others' losses.
pub(super) fn client(connection: &Connection) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(&connection.tls)?)
        .redirect(Policy::none())
        .http1_only()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(connection.timeouts.connect)
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(&connection.user_agent);
    builder = match &connection.proxy {
        ProxySettings::System => builder,
        ProxySettings::None => builder.no_proxy(),
        ProxySettings::Url(url) => {
            let proxy = reqwest::Proxy::all(url).map_err(|error| {
                Error::new(ErrorKind::Config, "the proxy's URL cannot be used").with_source(error)
            })?;
            builder.proxy(proxy)
        }
    };
    for (host, port, address) in &connection.resolve {
        let mut address = *address;
        address.set_port(*port);
        builder = builder.resolve(host, address);
    }
    builder.build().map_err(|error| {
        Error::new(
            ErrorKind::Config,
            "the connection's settings cannot be used",
        )
        .with_source(error)
    })
}

impl Http {
    /// Sends `request` to `url` and waits for the head of the answer.
    pub(crate) async fn transmit(
        &self,
        request: &Request,
        url: &Url,
        token: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let mut headers = self.headers(request, url, token);
        let secrets = request.secrets.clone().with_headers(&headers);
        let (progress, watched) = watch::channel(Sending::at(Stage::Piece));
        let (reading, sending) = match &self.rates {
            Some([reading, sending]) => (Some(reading), Some(sending)),
            None => (None, None),
        };
        let body = request.body.open(&mut headers, progress, sending).await?;
        let sent = self
            .web
            .request(request.method.clone(), url.clone())
            .headers(headers)
            .body(body)
            .send();
        let elsewhere = Elsewhere::of(self, url, request.role).map(Arc::new);
        let blamed = |error: Error| match &elsewhere {
            Some(elsewhere) => elsewhere.blame(error),
            None => error,
        };
        let begun = Instant::now();
        let answered = tokio::select! {
            sent = sent => sent.map_err(|error| match from_body(&error) {
                Some(ours) => ours,
                None => blamed(failure::of_transport(error)),
            }),
            error = silence(watched, self.connection.timeouts, request.grace) => Err(blamed(error)),
        };
        let took = begun.elapsed();
        let status = answered.as_ref().map(reqwest::Response::status).ok();
        if self.connection.logging >= LevelFilter::DEBUG {
            let host = url.authority();
            let status =
                status.map_or_else(|| "none".to_owned(), |status| status.as_str().to_owned());
            tracing::debug!(method = %request.method, host, path = url.path(), %status, ?took);
        }
        Ok(Answer {
            response: answered?,
            host: match &elsewhere {
                Some(elsewhere) => elsewhere.host(),
                None => self.host(),
            },
            elsewhere,
            idle: self.connection.timeouts.idle,
            rate: reading.cloned(),
            attempts: 1,
            secrets,
        })
    }

    /// The head of a request to `url`: the registry's own headers go nowhere else.
    fn headers(&self, request: &Request, url: &Url, token: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = request.headers.clone();
        if same_origin(url, &self.home()) {
            for name in self.connection.headers.keys() {
                headers.remove(name);
            }
            for (name, value) in &self.connection.headers {
                let mut value = value.clone();
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        headers
    }
}

/// The error of the body that was sent, when that is what broke the request.
fn from_body(error: &reqwest::Error) -> Option<Error> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(found) = cause {
        if let Some(ours) = found.downcast_ref::<Error>() {
            return Some(ours.again());
        }
        cause = found.source();
    }
    None
}

/// Ends with an error when no byte of the body is taken for too long, or no answer comes after it, for
/// which there is `grace` more time.
async fn silence(
    mut watched: watch::Receiver<Sending>,
    timeouts: Timeouts,
    grace: Duration,
) -> Error {
    loop {
        let Sending { since, stage } = *watched.borrow_and_update();
        // The connection itself may be made while nothing of a body is asked for.
        let limit = match stage {
            Stage::Answer => timeouts.connect + timeouts.answer + grace,
            Stage::Piece | Stage::Source => timeouts.connect + timeouts.idle,
        };
        let until = tokio::time::Instant::from_std(since + limit);
        let waits = stage != Stage::Source;
        tokio::select! {
            () = tokio::time::sleep_until(until), if waits => return failure::unanswered(limit),
            changed = watched.changed() => if changed.is_err() {
                // The body is gone: only the answer is missing.
                let now = tokio::time::Instant::now();
                tokio::time::sleep_until(if waits { until } else { now + limit }).await;
                return failure::unanswered(limit);
            },
        }
    }
}
