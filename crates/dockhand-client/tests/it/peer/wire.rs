//! HTTP/1.1 as a peer speaks it: by hand, so that it can be spoken wrongly.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Action, Answer, Intake, Seen, State, front};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(100_000);

pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Takes connections until the task is dropped, and ends them with it.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            // A connection that breaks is what many tests are about.
            match tls {
                None => converse(stream, &state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => converse(stream, &state).await,
                    Err(error) => Err(error),
                },
            }
        });
    }
}

async fn converse(mut socket: impl Socket, state: &State) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(head) = read_head(&mut socket, &mut buffer).await? {
        let mut seen = parse_head(&head);
        let planned = state.script.lock().unwrap().next(&seen);
        let place = {
            let mut all = state.seen.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        let intake = planned.as_ref().map_or(Intake::All, |(intake, _)| *intake);
        let limit = match intake {
            Intake::All => usize::MAX,
            Intake::Cut(bytes) | Intake::Silent(bytes) => bytes,
            Intake::None => 0,
        };
        seen.body = read_body(&mut socket, &mut buffer, &seen.headers, limit).await?;
        state.seen.lock().unwrap()[place].body = seen.body.clone();
        match intake {
            Intake::Cut(_) => return Ok(()),
            Intake::Silent(_) => tokio::time::sleep(FOREVER).await,
            Intake::All | Intake::None => {}
        }
        let answer = match (planned.as_ref().map(|(_, action)| &**action), &state.front) {
            (Some(Action::Play(play)), _) => play(&seen),
            (Some(Action::Alter(change)), Some(behind)) => {
                change(&seen, front::ask(behind, &seen).await?)
            }
            (None, Some(behind)) => front::ask(behind, &seen).await?,
            (Some(Action::Alter(_)) | None, None) => Answer::error(404, "UNKNOWN"),
        };
        if !write(&mut socket, &seen, &answer).await? {
            return Ok(());
        }
        if intake == Intake::None {
            // What was not read would be taken for the next request.
            socket.shutdown().await?;
            return drain(&mut socket).await;
        }
    }
    Ok(())
}

/// Reads what still comes, so that closing the connection does not destroy the answer.
async fn drain(socket: &mut impl Socket) -> io::Result<()> {
    let mut rest = vec![0; 64 * 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The bytes up to the empty line, which is included; `None` when the other side is done.
pub(super) async fn read_head(
    socket: &mut impl Socket,
    buffer: &mut BytesMut,
) -> io::Result<Option<Bytes>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(buffer.split_to(end + 4).freeze()));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
        // A greeting in TLS begins with byte 22.
        if !buffer[0].is_ascii_uppercase() {
            let refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(refusal).await?;
            return Ok(None);
        }
    }
}

fn parse_head(head: &Bytes) -> Seen {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut lines);
    request.parse(head).unwrap();
    Seen {
        method: request.method.unwrap().to_owned(),
        target: request.path.unwrap().to_owned(),
        headers: headers(request.headers),
        body: Bytes::new(),
        head: String::from_utf8_lossy(head).into_owned(),
        at: std::time::Instant::now(),
    }
}

pub(super) fn headers(lines: &[httparse::Header<'_>]) -> HeaderMap {
    let pair = |line: &httparse::Header<'_>| {
        let name: HeaderName = line.name.parse().unwrap();
        (name, HeaderValue::from_bytes(line.value).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in lines.iter().map(pair) {
        map.append(name, value);
    }
    map
}

/// The body, at most `limit` bytes of it.
async fn read_body(
    socket: &mut impl Socket,
    buffer: &mut BytesMut,
    headers: &HeaderMap,
    limit: usize,
) -> io::Result<Bytes> {
    let length = headers.get("content-length");
    let length: usize = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    assert!(
        !headers.contains_key("transfer-encoding"),
        "every body of this client has a length"
    );
    let wanted = length.min(limit);
    while buffer.len() < wanted {
        if socket.read_buf(buffer).await? == 0 {
            break;
        }
    }
    Ok(buffer.split_to(wanted.min(buffer.len())).freeze())
}

/// Sends the answer; `false` when the connection is over.
async fn write(socket: &mut impl Socket, seen: &Seen, answer: &Answer) -> io::Result<bool> {
    tokio::time::sleep(answer.delay).await;
    if answer.none {
        return Ok(false);
    }
    let reason = http::StatusCode::from_u16(answer.status).unwrap();
    let mut head = format!("HTTP/1.1 {reason}\r\n");
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let said = { answer.headers.iter() }.any(|(name, _)| name == "content-length");
    if answer.no_length || answer.endless {
        head.push_str("connection: close\r\n");
    } else if !said && answer.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    if seen.method == "HEAD" {
        socket.flush().await?;
        return Ok(!answer.no_length);
    }
    let stop = answer.cut.or(answer.silence).unwrap_or(usize::MAX);
    let body = &answer.body[..stop.min(answer.body.len())];
    if let Some(pause) = answer.drip {
        for byte in body {
            socket.write_all(&[*byte]).await?;
            socket.flush().await?;
            tokio::time::sleep(pause).await;
        }
        return Ok(true);
    }
    socket.write_all(body).await?;
    if answer.endless {
        loop {
            socket.write_all(body).await?;
        }
    }
    socket.flush().await?;
    if answer.silence.is_some() {
        tokio::time::sleep(FOREVER).await;
    }
    if answer.cut.is_some() || answer.no_length {
        socket.shutdown().await?;
        return Ok(false);
    }
    Ok(true)
}
