//! Uploads: every way in, and every way to get lost on it.

use axum::body::Body;
use bytes::Bytes;
use dockhand_oci::Algorithm;
use futures_util::stream;
use insta::assert_snapshot;

use crate::support::TestServer;

fn digest(bytes: &[u8]) -> String {
    Algorithm::Sha256.digest(bytes).to_string()
}

#[tokio::test]
async fn begun_asked_appended_finished() {
    let server = TestServer::new();
    let begun = server.send("POST /v2/app/blobs/uploads/", &[], "").await;
    assert_snapshot!(begun.show(), @"
    202 Accepted
    content-length: 0
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: <upload>
    location: http://registry.test/v2/app/blobs/uploads/<upload>?offset=0
    range: 0-0
    x-content-type-options: nosniff
    x-request-id: <id>
    ");
    let location = begun.header("location").to_owned();
    let chunk = server
        .send(
            &format!("PATCH {location}"),
            &[("content-range", "0-4")],
            "01234",
        )
        .await;
    assert_snapshot!(chunk.show(), @"
    202 Accepted
    content-length: 0
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: <upload>
    location: http://registry.test/v2/app/blobs/uploads/<upload>?offset=5
    range: 0-4
    x-content-type-options: nosniff
    x-request-id: <id>
    ");
    let status = server.get(&location).await;
    assert_snapshot!(status.show(), @"
    204 No Content
    content-length: 0
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: <upload>
    location: http://registry.test/v2/app/blobs/uploads/<upload>?offset=5
    range: 0-4
    x-content-type-options: nosniff
    x-request-id: <id>
    ");
    let last = status.header("location");
    let finished = server
        .send(
            &format!("PUT {last}&digest={}", digest(b"0123456789")),
            &[],
            "56789",
        )
        .await;
    assert_snapshot!(finished.show(), @"
    201 Created
    content-length: 0
    docker-content-digest: sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882
    docker-distribution-api-version: registry/2.0
    location: http://registry.test/v2/app/blobs/sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882
    x-content-type-options: nosniff
    x-request-id: <id>
    ");
    assert_eq!(
        server.get(finished.header("location")).await.body,
        "0123456789"
    );
    assert_eq!(server.get(&location).await.code(), "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn in_one_request_and_in_two() {
    let server = TestServer::new();
    let line = format!("POST /v2/app/blobs/uploads/?digest={}", digest(b"one"));
    assert_eq!(server.send(&line, &[], "one").await.status, 201);
    let location = server.begin("app").await;
    let line = format!("PUT {location}&digest={}", digest(b"two"));
    assert_eq!(server.send(&line, &[], "two").await.status, 201);
    let empty = format!("POST /v2/app/blobs/uploads/?digest={}", digest(b""));
    assert_eq!(server.send(&empty, &[], "").await.status, 201);
    let answered = server.get(&format!("/v2/app/blobs/{}", digest(b""))).await;
    assert_eq!(
        (answered.status.as_u16(), answered.header("content-length")),
        (200, "0")
    );
}

#[tokio::test]
async fn sha512_named_at_the_start_or_only_at_the_end() {
    let server = TestServer::new();
    let wanted = Algorithm::Sha512.digest(b"0123456789");
    for begin in ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"] {
        let begun = server
            .send(&format!("POST /v2/app/blobs/uploads/{begin}"), &[], "")
            .await;
        let location = begun.header("location");
        let appended = server
            .send(&format!("PATCH {location}"), &[], "01234")
            .await;
        let location = appended.header("location");
        let finished = server
            .send(&format!("PUT {location}&digest={wanted}"), &[], "56789")
            .await;
        assert_eq!(
            finished.header("docker-content-digest"),
            wanted.to_string(),
            "{begin}"
        );
        let answered = server.get(&format!("/v2/app/blobs/{wanted}")).await;
        assert_eq!(answered.body, "0123456789");
        assert_eq!(answered.header("docker-content-digest"), wanted.to_string());
    }
}

#[tokio::test]
async fn a_chunk_out_of_order_is_told_where_to_go_on() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    server
        .send(
            &format!("PATCH {location}"),
            &[("content-range", "0-4")],
            "01234",
        )
        .await;
    for (method, range) in [("PATCH", "0-4"), ("PATCH", "6-9"), ("PUT", "7-9")] {
        let line = match method {
            "PUT" => format!("PUT {location}&digest={}", digest(b"0123456789")),
            _ => format!("PATCH {location}"),
        };
        let answered = server
            .send(&line, &[("content-range", range)], "xxxx")
            .await;
        assert_eq!(answered.status, 416, "{method} {range}");
        assert_eq!(answered.header("range"), "0-4");
        let moved = location.replace("?offset=0", "?offset=5");
        assert_eq!(answered.header("location"), moved);
    }
    let line = format!("PUT {location}&digest={}", digest(b"0123456789"));
    assert_eq!(
        server
            .send(&line, &[("content-range", "5-9")], "56789")
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_streamed_chunk_that_is_sent_again_is_not_appended_twice() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    let patch = format!("PATCH {location}");
    assert_eq!(server.send(&patch, &[], "01234").await.status, 202);
    // The client never saw that answer.
    let again = server.send(&patch, &[], "01234").await;
    assert_snapshot!(again.show(), @r#"
    416 Range Not Satisfiable
    content-length: 119
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: <upload>
    location: http://registry.test/v2/app/blobs/uploads/<upload>?offset=5
    range: 0-4
    x-content-type-options: nosniff
    x-request-id: <id>

    {"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"the upload stands at 5, and the chunk begins at 0; go on from 5"}]}
    "#);
    let next = again.header("location").to_owned();
    let put = format!("PUT {next}&digest={}", digest(b"0123456789"));
    assert_eq!(server.send(&put, &[], "56789").await.status, 201);
}

#[tokio::test]
async fn urls_without_an_offset_are_taken_as_well() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    let (bare, _) = location.split_once('?').unwrap();
    let patch = format!("PATCH {bare}");
    assert_eq!(server.send(&patch, &[], "01234").await.status, 202);
    assert_eq!(server.send(&patch, &[], "567").await.status, 202);
    let put = format!("PUT {bare}?digest={}", digest(b"0123456789"));
    assert_eq!(server.send(&put, &[], "89").await.status, 201);

    let location = server.begin("app").await;
    let (bare, _) = location.split_once('?').unwrap();
    for wrong in ["?offset=", "?offset=-1", "?offset=x", "?offset=0&offset=0"] {
        let answered = server.send(&format!("PATCH {bare}{wrong}"), &[], "x").await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (400, "BLOB_UPLOAD_INVALID"),
            "{wrong}"
        );
    }
    assert_eq!(server.get(bare).await.header("range"), "0-0");
}

#[tokio::test]
async fn what_was_announced_must_come() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    let patch = format!("PATCH {location}");
    let short = server
        .send(&patch, &[("content-range", "0-9")], "01234")
        .await;
    assert_eq!(
        (short.status.as_u16(), short.code().as_str()),
        (400, "SIZE_INVALID")
    );
    let long = server
        .send(&patch, &[("content-range", "0-1")], "01234")
        .await;
    assert_eq!(long.code(), "SIZE_INVALID");
    assert_eq!(
        server.get(&location).await.header("range"),
        "0-0",
        "nothing of them is kept"
    );
    assert_eq!(
        server
            .send(&patch, &[("content-range", "0-1")], "01")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn a_wrong_digest_loses_nothing() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    let appended = server
        .send(&format!("PATCH {location}"), &[], "01234")
        .await;
    let location = appended.header("location");
    let wrong = format!("PUT {location}&digest={}", digest(b"other"));
    let answered = server.send(&wrong, &[], "56789").await;
    assert_eq!(
        (answered.status.as_u16(), answered.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_eq!(server.get(location).await.header("range"), "0-4");
    let right = format!("PUT {location}&digest={}", digest(b"0123456789"));
    assert_eq!(server.send(&right, &[], "56789").await.status, 201);
    let none = server.begin("app").await;
    assert_eq!(
        server.send(&format!("PUT {none}"), &[], "x").await.code(),
        "DIGEST_INVALID"
    );
}

#[tokio::test]
async fn a_cut_connection_keeps_what_had_come() {
    let server = TestServer::new();
    for method in ["PATCH", "PUT"] {
        let location = server.begin("app").await;
        let cut = Body::from_stream(stream::iter([
            Ok(Bytes::from_static(b"012")),
            Ok(Bytes::from_static(b"34")),
            Err(std::io::Error::other("cut")),
        ]));
        let line = match method {
            "PUT" => format!("PUT {location}&digest={}", digest(b"0123456789")),
            _ => format!("PATCH {location}"),
        };
        assert_eq!(server.send(&line, &[], cut).await.status, 400);
        assert_eq!(
            server.get(&location).await.header("range"),
            "0-4",
            "{method}"
        );
        let rest = format!("PUT {location}&digest={}", digest(b"0123456789"));
        assert_eq!(
            server
                .send(&rest, &[("content-range", "5-9")], "56789")
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn cancelled_and_foreign_uploads_are_unknown() {
    let server = TestServer::new();
    let location = server.begin("app").await;
    let foreign = location.replace("/app/", "/other/");
    for method in ["GET", "PATCH", "DELETE"] {
        let answered = server.send(&format!("{method} {foreign}"), &[], "").await;
        assert_eq!(
            (answered.status.as_u16(), answered.code().as_str()),
            (404, "BLOB_UPLOAD_UNKNOWN")
        );
    }
    assert_eq!(
        server
            .send(&format!("DELETE {location}"), &[], "")
            .await
            .status,
        204
    );
    assert_eq!(server.get(&location).await.status, 404);
    let put = format!("PUT {location}&digest={}", digest(b""));
    assert_eq!(
        server.send(&put, &[], "").await.code(),
        "BLOB_UPLOAD_UNKNOWN"
    );
}

#[tokio::test]
async fn racers_of_one_chunk_have_one_winner() {
    let server = std::sync::Arc::new(TestServer::new());
    for _ in 0..50 {
        let location = server.begin("app").await;
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (server, location) = (server.clone(), location.clone());
                tokio::spawn(async move {
                    let range = [("content-range", "0-4")];
                    server
                        .send(&format!("PATCH {location}"), &range, "01234")
                        .await
                        .status
                })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            match racer.await.unwrap().as_u16() {
                202 => won += 1,
                416 => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(server.get(&location).await.header("range"), "0-4");
    }
}
