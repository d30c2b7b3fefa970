//! Compare and swap on tags: two writers cannot lose an update.

use crate::support::{OCI_MANIFEST, TestServer, image};

async fn manifests(server: &TestServer, count: usize) -> Vec<String> {
    let config = server.push_blob("app", b"{}").await;
    (0..count)
        .map(|i| image(&config, 2, &[], &format!(r#","annotations":{{"i":"{i}"}}"#)))
        .collect()
}

fn etag(manifest: &str) -> String {
    format!(
        "\"{}\"",
        dockhand_oci::Algorithm::Sha256.digest(manifest.as_bytes())
    )
}

#[tokio::test]
async fn a_write_happens_only_if_its_condition_holds() {
    let server = TestServer::new();
    let m = manifests(&server, 3).await;
    let put = async |manifest: &str, name: &str, value: &str| {
        let headers = [("content-type", OCI_MANIFEST), (name, value)];
        server
            .send("PUT /v2/app/manifests/v", &headers, manifest.to_owned())
            .await
    };
    assert_eq!(put(&m[0], "if-match", "*").await.status, 412);
    assert_eq!(put(&m[0], "if-match", &etag(&m[0])).await.status, 412);
    assert_eq!(put(&m[0], "if-none-match", "*").await.status, 201);
    let refused = put(&m[1], "if-none-match", "*").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (412, "PRECONDITION_FAILED")
    );
    let current = refused.json()["errors"][0]["detail"]["current"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(format!("\"{current}\""), etag(&m[0]));
    assert_eq!(put(&m[1], "if-match", &etag(&m[2])).await.status, 412);
    let list = format!("{}, {}", etag(&m[2]), etag(&m[0]));
    assert_eq!(put(&m[1], "if-match", &list).await.status, 201);
    assert_eq!(put(&m[2], "if-match", "*").await.status, 201);
    for (name, value) in [("if-match", "\"x\""), ("if-none-match", "\"x\"")] {
        assert_eq!(put(&m[2], name, value).await.status, 400);
    }
    let got = server.get("/v2/app/manifests/v").await;
    assert_eq!(
        got.header("etag"),
        etag(&m[2]),
        "nothing refused has changed anything"
    );
}

#[tokio::test]
async fn a_delete_too() {
    let server = TestServer::new();
    let m = manifests(&server, 2).await;
    server.push_manifest("app", "v", OCI_MANIFEST, &m[0]).await;
    let delete = async |reference: &str, value: &str| {
        let line = format!("DELETE /v2/app/manifests/{reference}");
        server
            .send(&line, &[("if-match", value)], "")
            .await
            .status
            .as_u16()
    };
    assert_eq!(delete("v", &etag(&m[1])).await, 412);
    assert_eq!(server.get("/v2/app/manifests/v").await.status, 200);
    assert_eq!(delete("v", &etag(&m[0])).await, 202);
}

#[tokio::test]
async fn of_racers_each_version_has_one_winner() {
    let server = std::sync::Arc::new(TestServer::new());
    let m = manifests(&server, 65).await;
    server.push_manifest("app", "v", OCI_MANIFEST, &m[0]).await;
    for round in 0..8 {
        let current = server
            .get("/v2/app/manifests/v")
            .await
            .header("etag")
            .to_owned();
        let racers: Vec<_> = (1..=8)
            .map(|i| {
                let (server, current) = (server.clone(), current.clone());
                let manifest = m[round * 8 + i].clone();
                tokio::spawn(async move {
                    let headers = [("content-type", OCI_MANIFEST), ("if-match", &*current)];
                    server
                        .send("PUT /v2/app/manifests/v", &headers, manifest)
                        .await
                        .status
                })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            match racer.await.unwrap().as_u16() {
                201 => won += 1,
                412 => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    let history = server.get("/v2/app/_dockhand/tags/v/history").await.json();
    assert_eq!(history["history"].as_array().unwrap().len(), 9);
}
