//! Blobs from files over real connections: what the kernel sends is what was pushed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use dockhand_oci::{Algorithm, Digest};
use dockhand_registry::layout::blob_key;
use dockhand_server::{Limits, Options, Server, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::connections::{Running, setup, start};

/// Not a multiple of anything, and no byte like its neighbours.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i * 31 + i / 251) % 251).unwrap())
        .collect()
}

/// A server on a directory. Its timeouts are the usual ones: here nothing waits for them, and a busy machine
/// must not run into short ones.
pub(crate) async fn serve(folder: &Path) -> Running {
    start(Setup {
        data: Some(folder.to_owned()),
        options: Options::default(),
        limits: Limits::default(),
        ..setup()
    })
    .await
}

async fn push(server: &Running, bytes: &[u8]) -> Digest {
    let digest = Algorithm::Sha256.digest(bytes);
    let mut stream = server.connect().await;
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let (head, _) = answer(&mut stream, false).await;
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    digest
}

/// Reads one answer off a connection that stays open.
pub(crate) async fn answer(stream: &mut TcpStream, is_head: bool) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    if !is_head {
        stream.read_exact(&mut body).await.unwrap();
    }
    (head, body)
}

#[tokio::test]
async fn whole_blobs_ranges_and_small_answers_in_turn_on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let (large, small) = (content(5_300_001), content(70_000));
    let (large_digest, small_digest) = (push(&server, &large).await, push(&server, &small).await);
    let mut stream = server.connect().await;
    for _ in 0..3 {
        for (method, digest, range, expected) in [
            ("GET", large_digest, "", &large[..]),
            ("HEAD", large_digest, "", &[]),
            (
                "GET",
                large_digest,
                "Range: bytes=1048575-3145728\r\n",
                &large[1_048_575..=3_145_728],
            ),
            ("GET", small_digest, "", &small[..]),
            ("GET", small_digest, "Range: bytes=3-9\r\n", &small[3..=9]),
            (
                "GET",
                large_digest,
                "Range: bytes=-100000\r\n",
                &large[5_200_001..],
            ),
        ] {
            let request =
                format!("{method} /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n{range}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let (head, body) = answer(&mut stream, method == "HEAD").await;
            assert!(head.starts_with("HTTP/1.1 20"), "{head}");
            if method == "GET" {
                assert!(body == expected, "{method} {range}: other bytes came");
            }
        }
    }
}

#[tokio::test]
async fn requests_that_do_not_wait_for_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let (first, second) = (content(1_500_000), content(300_000));
    let digests = [push(&server, &first).await, push(&server, &second).await];
    let mut stream = server.connect().await;
    let requests: String = digests
        .iter()
        .cycle()
        .take(6)
        .map(|digest| format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    for turn in 0..6 {
        let (_, body) = answer(&mut stream, false).await;
        assert!(
            body == if turn % 2 == 0 {
                &first[..]
            } else {
                &second[..]
            },
            "turn {turn}"
        );
    }
}

/// The file of a blob that has never been deleted.
pub(crate) fn path_of(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(blob_key(digest, 1).as_str())
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_an_error_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    for length in [100, 70_000, 3_000_000] {
        let bytes = content(length);
        let digest = push(&server, &bytes).await;
        let path = path_of(folder.path(), &digest);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(length as u64 - 1).unwrap();
        let mut stream = server.connect().await;
        let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n");
        // Also a part that is still there: by parts, a client would notice only at the last of them.
        for range in ["", "Range: bytes=0-69999\r\n"] {
            let request = format!("{get}{range}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let (head, _) = answer(&mut stream, false).await;
            assert!(head.starts_with("HTTP/1.1 500"), "{length}: {head}");
        }
        push(&server, &bytes).await;
        stream
            .write_all(format!("{get}\r\n").as_bytes())
            .await
            .unwrap();
        assert!(answer(&mut stream, false).await.1 == bytes, "{length}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_while_it_is_sent_ends_the_connection() {
    /// More than the buffers of both sockets take, so that the server is in the middle of it.
    const LENGTH: usize = 24 << 20;
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let digest = push(&server, &content(LENGTH)).await;
    let path = path_of(folder.path(), &digest);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(LENGTH as u64 - 1).unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let text = String::from_utf8_lossy(all.get(..500).unwrap());
    assert!(
        text.contains(&format!("content-length: {LENGTH}")),
        "{text}"
    );
    assert!(all.len() < LENGTH, "all of it came");
}

#[tokio::test]
async fn an_upload_whose_bytes_are_lost_is_unknown_and_not_an_internal_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let ask = async |line: &str, body: &str| {
        let mut stream = server.connect().await;
        let length = body.len();
        let request =
            format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream, false).await.0
    };
    for line in ["GET", "PATCH", "PUT"] {
        let begun = ask("POST /v2/a/blobs/uploads/", "").await;
        let location = begun
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap();
        assert!(
            ask(&format!("PATCH {location}"), "0123")
                .await
                .starts_with("HTTP/1.1 202")
        );
        let (path, _) = location.split_once('?').unwrap();
        let id = path.rsplit('/').next().unwrap();
        std::fs::remove_file(folder.path().join("uploads").join(id)).unwrap();
        let digest = Algorithm::Sha256.digest(b"0123");
        let line = match line {
            "PUT" => format!("PUT {location}&digest={digest}"),
            line => format!("{line} {location}"),
        };
        for _ in 0..2 {
            let answer = ask(&line, "").await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_folder_is_made_with_all_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b/c");
    let server = serve(&data).await;
    push(&server, b"hello").await;
    assert!(data.join("dockhand.db").is_file());
    assert!(data.join("docker/registry/v2/blobs").is_dir());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "no folder").unwrap();
    let data = folder.path().join("a/b/c");
    let setup = Setup {
        data: Some(data.clone()),
        ..setup()
    };
    let error = Server::start(setup).await.unwrap_err().to_string();
    assert!(error.contains(data.to_str().unwrap()), "{error}");
}
