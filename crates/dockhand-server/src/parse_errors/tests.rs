#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use axum::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const HYPERS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

type Stream = ParseErrors<DuplexStream, fn(StatusCode) -> Bytes>;

/// A stream with room for a few bytes at a time, the other end of it, and the requests on it.
fn opened() -> (Stream, DuplexStream, Activity) {
    let (ours, theirs) = duplex(8);
    let activity = Activity::new();
    let answer: fn(StatusCode) -> Bytes = |status| Bytes::from(format!("ours, {status}"));
    (
        ParseErrors::new(ours, activity.clone(), answer),
        theirs,
        activity,
    )
}

/// What the other end gets.
async fn written(mut stream: Stream, mut theirs: DuplexStream, bytes: &[u8]) -> String {
    let writing = async {
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
    };
    let mut all = Vec::new();
    let ((), read) = tokio::join!(writing, theirs.read_to_end(&mut all));
    read.unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn what_is_written_before_any_request_is_replaced() {
    let (stream, theirs, _) = opened();
    assert_eq!(
        written(stream, theirs, HYPERS).await,
        "ours, 400 Bad Request"
    );
}

#[tokio::test]
async fn what_is_written_after_the_last_answer_is_replaced() {
    let (mut stream, theirs, activity) = opened();
    drop(activity.begin());
    stream.write_all(b"answer").await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(
        written(stream, theirs, HYPERS).await,
        "answerours, 400 Bad Request"
    );
}

#[tokio::test]
async fn answers_of_handlers_are_left_alone() {
    let text = std::str::from_utf8(HYPERS).unwrap();
    // Without a body: nothing of the request is open when its answer is written.
    let (stream, theirs, activity) = opened();
    drop(activity.begin());
    assert_eq!(written(stream, theirs, HYPERS).await, text);
    // The last piece of a body: it is given up before it is written, and the piece before it is out.
    let (mut stream, theirs, activity) = opened();
    let open = activity.begin();
    let body = open.answer(Body::from(HYPERS));
    drop(open);
    stream.write_all(b"piece,").await.unwrap();
    stream.flush().await.unwrap();
    drop(body);
    assert_eq!(
        written(stream, theirs, HYPERS).await,
        format!("piece,{text}")
    );
}

#[tokio::test]
async fn frames_and_other_statuses_are_left_alone() {
    for bytes in [
        &b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\x10\0\0"[..],
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 4",
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
    ] {
        let (stream, theirs, _) = opened();
        assert_eq!(written(stream, theirs, bytes).await.as_bytes(), bytes);
    }
}
