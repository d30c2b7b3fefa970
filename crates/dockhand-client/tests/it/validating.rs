//! Images that are whole, and such that only look so.

use std::sync::Arc;

use dockhand_client::{ErrorKind, Memory, Store, Unobserved, validate};
use serde_json::json;

use crate::peer::{Answer, Peer, Script, small_image, tagged};
use crate::tars::Is::File;
use crate::tars::{gzip, put_image, tar, zstd};

#[tokio::test]
async fn a_layer_is_what_its_config_says() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let plain = tar(&[("a", File("x"))]);
    let layers = [plain.clone(), gzip(&plain), zstd(&plain)];
    let other = format!("sha256:{}", "a".repeat(64));
    let diff_id = dockhand_oci::Algorithm::Sha256.digest(&plain).to_string();
    let rootfs = |ids: &[&String]| json!({ "rootfs": { "type": "layers", "diff_ids": ids } });
    for (name, config, deep) in [
        ("good", json!({}), 0),
        ("one is another", rootfs(&[&diff_id, &other, &diff_id]), 1),
        ("one too few", rootfs(&[&diff_id, &diff_id]), 1),
        ("none is said", rootfs(&[]), 0),
    ] {
        let root = put_image(&*store, &layers, &config, false).await;
        for (fast, expected) in [(true, 0), (false, deep)] {
            let found = validate(&store, &root.digest.into(), fast, &Unobserved)
                .await
                .unwrap();
            assert_eq!(found.problems.len(), expected, "{name}: {found:?}");
            assert_eq!(found.blobs, 4, "{name}");
            assert_eq!(found.bytes > 0, !fast);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_no_fault_of_the_content() {
    let (manifest, blob, content) = small_image();
    let mut wrong = content.to_vec();
    wrong[7] ^= 1;
    for (answer, problems, kind) in [
        (Answer::new(200).body(content.clone()), 0, None),
        (Answer::new(404), 1, None),
        (Answer::new(200).body(wrong), 1, None),
        (Answer::new(200).body(content.slice(..100)), 1, None),
        (Answer::none(), 0, Some(ErrorKind::Connect)),
        (
            Answer::new(200).body(content.clone()).cut_after(50),
            0,
            Some(ErrorKind::Connect),
        ),
        (Answer::new(503), 0, Some(ErrorKind::Server)),
        (
            Answer::error(401, "UNAUTHORIZED"),
            0,
            Some(ErrorKind::Unauthorized),
        ),
    ] {
        let served = manifest.clone();
        let script = Script::new()
            .on("GET /v2/app/manifests/*", move |_| {
                Answer::manifest(&served)
            })
            .on("GET /v2/app/blobs/*", move |_| answer.clone());
        let peer = Peer::start(script).await;
        let store: Arc<dyn Store> = Arc::new(peer.repository());
        let found = validate(&store, &tagged("1"), false, &Unobserved).await;
        match (found, kind) {
            (Ok(found), None) => {
                assert_eq!(found.problems.len(), problems, "{:?}", found.problems);
                assert!(found.problems.iter().all(|one| one.digest == blob.digest));
            }
            (Err(error), Some(kind)) => assert_eq!(error.kind(), kind, "{error}"),
            (found, kind) => panic!("{found:?} instead of {kind:?}"),
        }
    }
}
