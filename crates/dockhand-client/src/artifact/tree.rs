//! What refers to a manifest, and what refers to that in turn.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use dockhand_oci::{Descriptor, Digest};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use crate::store::Store;
use crate::{Filter, Result};

/// How many lists are asked for at once.
const LANES: usize = 16;

/// A referrer with its own referrers.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// What it is.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What refers to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Node>,
}

/// What refers to `subject`, `depth` levels of it: on the first level only what `filter` wants. Nothing is shown twice, so that nothing goes in a circle.
///
/// # Errors
/// What keeps a list from being read.
pub async fn discover(
    store: &Arc<dyn Store>,
    subject: &Digest,
    depth: usize,
    filter: &Filter,
) -> Result<Vec<Node>> {
    let seen = Mutex::new(BTreeSet::from([*subject]));
    level(store, *subject, depth, filter, &seen).await
}

fn level<'a>(
    store: &'a Arc<dyn Store>,
    subject: Digest,
    depth: usize,
    filter: &'a Filter,
    seen: &'a Mutex<BTreeSet<Digest>>,
) -> BoxFuture<'a, Result<Vec<Node>>> {
    Box::pin(async move {
        if depth == 0 {
            return Ok(Vec::new());
        }
        let mut found = store.referrers(&subject).await?;
        {
            // A manifest has one subject, so that each is listed once, unless the registry lies.
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            found.retain(|one| filter.fits(one) && seen.insert(one.digest));
        }
        let nodes = stream::iter(found).map(|descriptor| async move {
            let all = Filter::default();
            let referrers = level(store, descriptor.digest, depth - 1, &all, seen).await?;
            Ok(Node {
                descriptor,
                referrers,
            })
        });
        nodes.buffered(LANES).try_collect().await
    })
}
