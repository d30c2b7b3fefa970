//! `/uploads`: listed, and dropped one by one.

use std::time::SystemTime;

use dockhand_oci::{ErrorCode, Link, UploadId};
use dockhand_registry::{Registry, UploadEntry};
use http::StatusCode;
use http::header::LINK;
use serde_json::{Value, json};

use super::resource::Resource;
use crate::handlers::Answer;
use crate::request::Asked;
use crate::respond::{empty, json_as, value};

/// A page of the uploads that are open.
pub(super) async fn list(registry: &Registry, asked: &Asked) -> Answer {
    let page = registry.uploads(asked.paging()?).await?;
    let uploads: Vec<Value> = page.items.iter().map(entry).collect();
    let mut response = json_as("application/json", &json!({ "uploads": uploads }));
    if let Some(last) = &page.next {
        let target = format!("{}?last={last}&n={}", Resource::Uploads, page.n);
        let headers = response.headers_mut();
        headers.insert(LINK, value(Link::next(&target)));
    }
    Ok(response)
}

fn entry(entry: &UploadEntry) -> Value {
    let time = |at: SystemTime| jiff::Timestamp::try_from(at).ok().map(|at| at.to_string());
    let client = Some(&entry.client).filter(|client| !client.is_empty());
    json!({
        "id": entry.id.to_string(),
        "repository": entry.repo,
        "client": client,
        "started": time(entry.started),
        "touched": time(entry.touched),
        "bytes": entry.bytes,
    })
}

/// Drops an upload; with `bytes` only when it has so many.
pub(super) async fn drop_one(registry: &Registry, asked: &Asked, id: UploadId) -> Answer {
    let bytes = asked.word("bytes", ErrorCode::Unsupported)?;
    registry.drop_upload(id, bytes).await?;
    tracing::info!(request = %asked.id, %id, "an upload was dropped by the administration");
    Ok(empty(StatusCode::NO_CONTENT))
}
