//! Connections: accepted up to a bound, served, and let finish when the server goes down.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use http::header::DATE;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::activity::Activity;
use crate::app::{App, Peer};
use crate::guarded::{Guarded, Stalls};
use crate::handshake::{Handshakes, Opened};
use crate::head::{self, HeadError};
use crate::parse_errors::ParseErrors;
use crate::per_address::PerAddress;
use crate::respond;
use crate::sendfile::{Files, Sending};
use crate::tls::Tls;
use crate::unsent::Unsent;

/// What a connection may take of time and room.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the first byte of the head of a request to its last, and from the beginning of a connection
    /// to the end of its first head.
    pub header_timeout: Duration,
    /// For a connection on which no request is open.
    pub idle_timeout: Duration,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For a client that takes less than a KiB of an answer.
    pub write_stall: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Bytes of the head of a request.
    pub header_bytes: usize,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(620),
            handshake_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(60),
            connections: 10_000,
            connections_per_address: 10_000,
            header_bytes: 32 * 1024,
            http2: true,
        }
    }
}

/// Streams of one HTTP/2 connection at once. Each may hold an open file and a buffer of 256 KiB, so a
/// connection holds 16 MiB at most. RFC 9113 would have 100 for pages of many small parts; clients of
/// registries move three to ten blobs at once, and what is one too many waits its turn.
/// <https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2>
const H2_STREAMS: u32 = 64;
/// How often a silent HTTP/2 connection is asked whether it lives.
const H2_PING: Duration = Duration::from_secs(30);
/// How long to wait before accepting again when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a connection gets that is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// For answering a connection whose request is not read.
const REFUSAL: Duration = Duration::from_secs(1);
/// Connections that are told so at once; the others are closed without a word.
const REFUSALS: usize = 256;

/// How often idle connections are asked to make room, at most: each of them wakes up for it.
const MAKE_ROOM: Duration = Duration::from_secs(1);

/// What all connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// To go on.
    Serve,
    /// To end when they have been idle for longer than the head of a request may take: there is no room
    /// for others.
    MakeRoom,
    /// To end when their requests are done.
    Stop,
}

/// Serves connections until `shutdown` resolves, then lets those that are busy finish for at most
/// `drain`. Says how many were cut off.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    tls: Option<Tls>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) -> usize {
    // Every connection has a receiver, and is over when that is gone.
    let (calling, calls) = watch::channel(Call::Serve);
    let mut made_room: Option<Instant> = None;
    let server = Arc::new(Server {
        builder: builder(&limits),
        all: Arc::new(Semaphore::new(limits.connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        by_address: PerAddress::default(),
        app,
        tls,
        handshakes: Handshakes::new(),
        limits,
    });
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let is_full = server.all.available_permits() == 0;
                    admit(&server, calls.clone(), stream, address);
                    if is_full && made_room.is_none_or(|at| at.elapsed() >= MAKE_ROOM) {
                        made_room = Some(Instant::now());
                        let _ = calling.send(Call::MakeRoom);
                    }
                }
                Err(error) => pause(&error).await,
            },
            () = &mut shutdown => break,
        }
    }
    drop((listener, calls));
    let _ = calling.send(Call::Stop);
    let _ = tokio::time::timeout(drain, calling.closed()).await;
    server.limits.connections - server.all.available_permits()
}

struct Server {
    builder: Builder<TokioExecutor>,
    all: Arc<Semaphore>,
    /// Connections that are being told that there are too many.
    refusals: Arc<Semaphore>,
    by_address: PerAddress,
    app: Arc<App>,
    tls: Option<Tls>,
    handshakes: Handshakes,
    limits: Limits,
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if !limits.http2 {
        builder = builder.http1_only();
    }
    builder
        .http1()
        // Guarded has the time of a head: hyper's begins when the answer before it is out.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        // Bodies are handed down as they are: stand-ins for parts of files must not be copied.
        .writev(true)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        // h2 counts 32 bytes more for each header, and refuses without an error document. Up to twice the
        // limit, heads get here, and are refused by their size.
        .max_header_list_size(
            u32::try_from(limits.header_bytes.saturating_mul(2)).unwrap_or(u32::MAX),
        )
        .keep_alive_interval(H2_PING)
        .adaptive_window(true);
    builder
}

/// hyper reads bodies through the same buffer as heads; with less than this, uploads crawl. What fits
/// into it and is still too large for a head is refused by its size ([`head::note`]).
const MIN_BUFFER: usize = 256 * 1024;

/// Lets a connection in, or tells it that there are too many.
fn admit(
    server: &Arc<Server>,
    calls: watch::Receiver<Call>,
    stream: TcpStream,
    address: SocketAddr,
) {
    let per_address = server.limits.connections_per_address;
    let place = server.by_address.enter(address.ip(), per_address);
    let permit = Arc::clone(&server.all).try_acquire_owned().ok();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let (Some(_place), Some(_permit)) = (place, permit) else {
            return refuse(&server, stream).await;
        };
        let _ = stream.set_nodelay(true);
        if let Some(metrics) = &server.app.metrics {
            metrics.connections.inc();
        }
        greet(&server, calls, stream, address).await;
        if let Some(metrics) = &server.app.metrics {
            metrics.connections.dec();
        }
    });
}

/// Tells a connection that there are too many.
async fn refuse(server: &Server, stream: TcpStream) {
    let Ok(_permit) = server.refusals.try_acquire() else {
        return;
    };
    tell(server, stream, TOO_MANY).await;
}

/// Answers a connection whatever it asks for, and reads the request that it has sent meanwhile: unread, it
/// would reset the connection, and the answer would be lost.
async fn tell(server: &Server, mut stream: TcpStream, answer: &[u8]) {
    let telling = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let (mut dropped, mut left) = ([0; 4096], server.limits.header_bytes);
        while left > 0 {
            let count = stream.read(&mut dropped).await?;
            left = if count == 0 {
                0
            } else {
                left.saturating_sub(count)
            };
        }
        Ok::<_, io::Error>(())
    };
    let _ = tokio::time::timeout(REFUSAL, telling).await;
}

/// The TLS handshake, when there is one, then the requests.
async fn greet(
    server: &Server,
    calls: watch::Receiver<Call>,
    stream: TcpStream,
    address: SocketAddr,
) {
    let local_port = stream.local_addr().ok().map(|local| local.port());
    let peer = Peer {
        address,
        local_port,
        tls: server.tls.is_some(),
    };
    let Some(tls) = &server.tls else {
        let files = Files::default();
        let stream = Sending::new(stream, files.clone());
        return speak(server, calls, stream, peer, Some(files)).await;
    };
    let limit = server.limits.handshake_timeout;
    match server.handshakes.open(tls, stream, address, limit).await {
        Some(Opened::Tls(stream)) => speak(server, calls, stream, peer, None).await,
        Some(Opened::PlainHttp(stream)) => {
            let plain = Peer { tls: false, ..peer };
            let answer = unread(&server.app, plain, HeadError::PlainHttp);
            tell(server, stream, &answer).await;
        }
        None => {}
    }
}

/// The answer to a request that could not be read, or must not be.
fn unread(app: &App, peer: Peer, error: HeadError) -> Bytes {
    let mut response = app.refuse(peer, error);
    date(app, &mut response);
    respond::as_http1(response)
}

/// Requests and answers until the connection ends, which is asked for when it is idle for too long, or
/// the server stops.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: &Server,
    mut calls: watch::Receiver<Call>,
    stream: S,
    peer: Peer,
    files: Option<Files>,
) {
    let limits = &server.limits;
    let (activity, unsent) = (Activity::new(), Unsent::default());
    let stalls = Stalls {
        head: limits.header_timeout,
        write: limits.write_stall,
    };
    let stream = Guarded::new(stream, stalls, activity.clone(), unsent.clone());
    let answering = Arc::clone(&server.app);
    let stream = ParseErrors::new(stream, activity.clone(), move |status| {
        unread(&answering, peer, HeadError::of_parser(status))
    });
    let (app, header_bytes, requests) = (
        Arc::clone(&server.app),
        limits.header_bytes,
        activity.clone(),
    );
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (app, open) = (Arc::clone(&app), requests.begin());
        let unsent = (request.version() == Version::HTTP_2).then(|| unsent.clone());
        head::note(&mut request, header_bytes);
        if let Some(files) = &files {
            request.extensions_mut().insert(files.clone());
        }
        async move {
            let request = request.map(|body| open.request(body));
            let mut response = app.handle(Some(peer), request).await;
            date(&app, &mut response);
            Ok::<_, Infallible>(response.map(|body| {
                let body = open.answer(body);
                match &unsent {
                    Some(unsent) => unsent.follow(body),
                    None => body,
                }
            }))
        }
    });
    let connection = server
        .builder
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = asked_to_end(&mut calls, &activity, limits) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.address, %error, "a connection ended early");
    }
}

/// Resolves when the server stops, or the connection has been idle for too long.
async fn asked_to_end(calls: &mut watch::Receiver<Call>, activity: &Activity, limits: &Limits) {
    loop {
        tokio::select! {
            called = calls.changed() => {
                let makes_room = *calls.borrow_and_update() == Call::MakeRoom;
                let stays = makes_room && !activity.is_idle_for(limits.header_timeout);
                if called.is_err() || !stays {
                    return;
                }
            }
            () = activity.idle(limits.idle_timeout) => return,
        }
    }
}

/// Dates an answer.
pub(crate) fn date(app: &App, response: &mut Response<Body>) {
    if let Some(date) = app.dates.at(SystemTime::now()) {
        response.headers_mut().insert(DATE, date);
    }
}

/// A connection that failed before it was ours is nothing; a process without descriptors waits.
async fn pause(error: &io::Error) {
    let of_the_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !of_the_connection {
        tracing::warn!(%error, "cannot accept connections for a moment");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
