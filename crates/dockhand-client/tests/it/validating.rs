//! Images that are whole, and such that only look so.

use std::sync::Arc;

use dockhand_client::{Memory, Store, Unobserved, validate};
use serde_json::json;

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
