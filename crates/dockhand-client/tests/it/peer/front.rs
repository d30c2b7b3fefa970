//! A peer before a real registry: asks it what the peer was asked.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, Seen, wire};

/// What the registry at `address` answers to this request.
pub(super) async fn ask(address: &str, seen: &Seen) -> io::Result<Answer> {
    let mut socket = TcpStream::connect(address).await?;
    // The last header, so that it counts whatever the request said.
    let head = seen.head.trim_end_matches("\r\n");
    let head = format!("{head}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&seen.body).await?;
    let mut buffer = BytesMut::new();
    let head = wire::read_head(&mut socket, &mut buffer).await?;
    let head = head.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut rest = buffer.to_vec();
    socket.read_to_end(&mut rest).await?;
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut lines);
    response.parse(&head).unwrap();
    let mut answer = Answer::new(response.code.unwrap()).body(Bytes::from(rest));
    for (name, value) in &wire::headers(response.headers) {
        if name != "connection" && name != "transfer-encoding" {
            answer = answer.header(name.as_str(), value.to_str().unwrap());
        }
    }
    Ok(answer)
}
