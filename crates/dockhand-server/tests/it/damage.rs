//! Files of blobs that are not what they should be, over real connections: pushing the right bytes again
//! heals them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dockhand_oci::{Algorithm, Digest};
use tokio::io::AsyncWriteExt;

use crate::connections::Running;
use crate::files::{answer, content, path_of, serve};

/// How bytes may come.
const WAYS: [Way; 4] = [Way::Post, Way::Put, Way::Patch, Way::Chunks];

#[derive(Clone, Copy, Debug)]
enum Way {
    /// All in one `POST`.
    Post,
    /// A `POST`, and all in one `PUT`.
    Put,
    /// All in one `PATCH`.
    Patch,
    /// Two `PATCH` and the rest in the `PUT`.
    Chunks,
}

/// One request on a connection of its own.
async fn ask(server: &Running, line: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = server.connect().await;
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    answer(&mut stream, line.starts_with("HEAD")).await
}

async fn status(server: &Running, line: &str) -> u16 {
    status_of(&ask(server, line, b"").await.0)
}

fn status_of(head: &str) -> u16 {
    head.get(9..12).unwrap().parse().unwrap()
}

fn location(head: &str) -> String {
    let mut lines = head.lines();
    let found = lines.find_map(|line| line.strip_prefix("location: "));
    found.unwrap().to_owned()
}

async fn push(server: &Running, repo: &str, bytes: &[u8], way: Way) -> Digest {
    let digest = Algorithm::Sha256.digest(bytes);
    let uploads = format!("/v2/{repo}/blobs/uploads/");
    let head = if matches!(way, Way::Post) {
        ask(server, &format!("POST {uploads}?digest={digest}"), bytes)
            .await
            .0
    } else {
        let (patched, last) = match way {
            Way::Post | Way::Put => (vec![], bytes),
            Way::Patch => (vec![bytes], &[][..]),
            Way::Chunks => {
                let third = bytes.len() / 3;
                let (first, rest) = bytes.split_at(third);
                let (second, rest) = rest.split_at(third);
                (vec![first, second], rest)
            }
        };
        let mut at = location(&ask(server, &format!("POST {uploads}"), b"").await.0);
        for chunk in patched {
            at = location(&ask(server, &format!("PATCH {at}"), chunk).await.0);
        }
        let and = if at.contains('?') { '&' } else { '?' };
        ask(server, &format!("PUT {at}{and}digest={digest}"), last)
            .await
            .0
    };
    assert_eq!(status_of(&head), 201, "{way:?}: {head}");
    digest
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}

async fn assert_reads_back(server: &Running, repo: &str, digest: &Digest, bytes: &[u8]) {
    let (head, body) = ask(server, &format!("GET /v2/{repo}/blobs/{digest}"), b"").await;
    assert_eq!(status_of(&head), 200, "{head}");
    assert!(body == bytes, "other bytes came of {digest} in {repo}");
}

#[tokio::test]
async fn a_flipped_bit_is_healed_by_a_push_to_any_repository() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    for length in [9, 40_000, 700_000] {
        let bytes = content(length);
        let digest = push(&server, "a", &bytes, Way::Post).await;
        for way in WAYS {
            for repo in ["a", "other"] {
                flip_a_bit(&path_of(folder.path(), &digest));
                push(&server, repo, &bytes, way).await;
                for repo in ["a", repo] {
                    assert_reads_back(&server, repo, &digest, &bytes).await;
                }
            }
        }
    }
    // Nothing else stays: stages are dropped behind the answer, and spare names with them.
    let uploads = || fs::read_dir(folder.path().join("uploads")).unwrap().count();
    for _ in 0..500 {
        if uploads() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(uploads(), 0);
}

#[tokio::test]
async fn a_flipped_bit_does_not_outlive_a_delete_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for (length, way) in [(9, Way::Post), (700_000, Way::Put), (700_000, Way::Chunks)] {
        let bytes = content(length);
        let server = serve(folder.path()).await;
        let digest = push(&server, "a", &bytes, way).await;
        flip_a_bit(&path_of(folder.path(), &digest));
        let blob = format!("/v2/a/blobs/{digest}");
        assert_eq!(status(&server, &format!("DELETE {blob}")).await, 202);
        assert_eq!(status(&server, &format!("HEAD {blob}")).await, 404);
        server.end().await;

        let server = serve(folder.path()).await;
        push(&server, "b", &bytes, way).await;
        assert_reads_back(&server, "b", &digest, &bytes).await;
        server.end().await;
    }
}

/// The folders above a file have been made safe once, and a server relies on that until it sees otherwise.
#[tokio::test]
async fn a_blob_whose_folders_are_gone_is_healed_by_a_push() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    for length in [9, 700_000] {
        let bytes = content(length);
        let digest = push(&server, "a", &bytes, Way::Post).await;
        let file = path_of(folder.path(), &digest);
        let blob = format!("/v2/a/blobs/{digest}");
        for way in WAYS {
            // Its own folder, the shard, and the algorithm.
            for above in 1..=3 {
                fs::remove_dir_all(file.ancestors().nth(above).unwrap()).unwrap();
                assert_eq!(status(&server, &format!("HEAD {blob}")).await, 404);
                assert_eq!(status(&server, &format!("GET {blob}")).await, 500);
                push(&server, "a", &bytes, way).await;
                assert_reads_back(&server, "a", &digest, &bytes).await;
            }
        }
    }
}

/// Who began to read goes on with the file that was there, right or wrong; nobody gets a mixture.
#[tokio::test]
async fn a_reader_in_the_middle_is_not_disturbed() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    let bytes = content(12_000_000);
    let digest = push(&server, "a", &bytes, Way::Put).await;
    let mut stream = server.connect().await;
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let file = path_of(folder.path(), &digest);
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![0; bytes.len()]).unwrap();
    push(&server, "a", &bytes, Way::Put).await;
    assert!(answer(&mut stream, false).await.1 == bytes);
    assert_reads_back(&server, "a", &digest, &bytes).await;
}
