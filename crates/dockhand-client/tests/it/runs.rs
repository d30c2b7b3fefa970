//! Whole repositories: what a run asks of both sides, what it moves once, and how much it does at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dockhand_client::copy::{CopyOptions, Known, Run, Task};
use dockhand_client::sync::{
    IMAGES, Job, Outcome, SyncOptions, Synced, TagFilter, What, Work, sync,
};
use dockhand_client::{
    BlobSource, ByteStream, Error, ErrorKind, Memory, Moved, Origin, RawManifest, Result, Store,
};
use dockhand_oci::{Descriptor, Digest, MediaType, Reference, Tag};
use tokio::sync::{Barrier, watch};

use crate::peer::{Answer, Peer, Script};
use crate::registry::{Registry, bytes, image};
use crate::stores::{index, tag};

/// All tags of a place to another.
fn all_tags(from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> Job {
    Job {
        from: Arc::clone(from),
        to: Arc::clone(to),
        what: What::Tags(Arc::new(TagFilter::default())),
        copy: CopyOptions::default(),
        prune: false,
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("v{number:03}")).collect()
}

/// Puts so many images somewhere, of a layer of their own and what all share.
async fn fill(store: &dyn Store, count: usize, shared: bool) -> Vec<RawManifest> {
    let mut images = Vec::new();
    for (seed, name) in (100..).zip(names(count)) {
        let mut layers = vec![bytes(seed, 500)];
        layers.extend(shared.then(|| bytes(1, 20_000)));
        images.push(image(store, &layers, &[&name]).await);
    }
    images
}

/// Peers before two registries, and a repository of each, as a place.
struct Sides {
    _registries: [Registry; 2],
    source: Peer,
    target: Peer,
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
}

impl Sides {
    /// With so many images in the source.
    async fn start(count: usize, source: Script) -> Self {
        let (here, there) = (Registry::start().await, Registry::start().await);
        fill(&here.repository("app"), count, true).await;
        let source = Peer::start(source.front(&here.address)).await;
        let target = Peer::start(Script::new().front(&there.address)).await;
        Self {
            from: Arc::new(source.repository()),
            to: Arc::new(target.repository()),
            _registries: [here, there],
            source,
            target,
        }
    }
}

fn outcomes(synced: &Synced, is: impl Fn(&Outcome) -> bool) -> usize {
    let steps = synced.steps.iter();
    steps.filter(|step| is(&step.outcome)).count()
}

const COUNT: usize = 70;

#[tokio::test]
async fn a_run_asks_for_nothing_twice_and_sends_what_tags_share_once() {
    let sides = Sides::start(COUNT, Script::new()).await;
    let jobs = [all_tags(&sides.from, &sides.to)];
    let synced = sync(&jobs, &SyncOptions::default()).await;
    assert!(synced.failure().is_none(), "{synced:?}");
    let copied = outcomes(&synced, |one| matches!(one, Outcome::Copied(_)));
    assert_eq!(copied, COUNT);
    // A layer of each, and the layer and the config that they share.
    let blobs = COUNT + 2;
    let (source, target) = (&sides.source, &sides.target);
    for (peer, pattern, expected) in [
        (source, "GET /v2/app/tags/list", 1),
        (source, "GET /v2/app/manifests/*", COUNT),
        (source, "GET /v2/app/blobs/*", blobs),
        (source, "*", 1 + COUNT + blobs),
        // It has no tag, and is not asked for each.
        (target, "GET /v2/app/tags/list", 1),
        (target, "POST /v2/app/blobs/uploads/", blobs),
        (target, "PUT *", blobs + COUNT),
        (target, "*", 1 + 2 * blobs + COUNT),
    ] {
        assert_eq!(peer.count(pattern), expected, "{pattern}");
    }

    let (before, there) = (source.seen().len(), target.seen().len());
    let again = sync(&jobs, &SyncOptions::default()).await;
    let same = outcomes(&again, |one| matches!(one, Outcome::Unchanged(_)));
    assert_eq!(same, COUNT, "{again:?}");
    assert_eq!(source.count("HEAD /v2/app/manifests/*"), COUNT);
    assert_eq!(target.count("HEAD /v2/app/manifests/*"), COUNT);
    assert_eq!(source.seen().len() - before, COUNT + 1);
    assert_eq!(target.seen().len() - there, COUNT + 1);

    // What is another at the target is not asked for a second time.
    let other = image(&*sides.to, &[bytes(7, 10)], &["v000"]).await;
    let heads = target.count("HEAD *");
    let third = sync(&jobs, &SyncOptions::default()).await;
    assert_eq!(third.steps.len(), COUNT);
    assert!(matches!(third.steps[0].outcome, Outcome::Copied(_)));
    assert_eq!(target.count("HEAD *") - heads, COUNT);
    let found = sides.to.manifest(&Reference::Tag(tag("v000"))).await;
    assert_ne!(found.unwrap().digest, other.digest);
}

#[tokio::test]
async fn what_is_known_of_the_source_is_not_asked_of_it_for_each_image() {
    // As many registries are that have no list of referrers.
    let script = Script::new().on("GET /v2/app/referrers/*", |_| Answer::error(404, "UNKNOWN"));
    let sides = Sides::start(5, script).await;
    let options = CopyOptions {
        referrers: true,
        digest_tags: true,
        ..CopyOptions::default()
    };
    let digest = |found: RawManifest| found.digest.to_string().replace(':', "-");
    let last = sides.from.manifest(&Reference::Tag(tag("v004"))).await;
    let last = digest(last.unwrap());
    let signature = format!("{last}.sig");
    let signed = image(&*sides.from, &[bytes(3, 10)], &[&signature]).await;
    let attached = image(&*sides.from, &[bytes(4, 10)], &[]).await;
    let list = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [attached.descriptor()],
    });
    let list = RawManifest::new(MediaType::OCI_INDEX, list.to_string());
    sides.from.put_manifest(&list, &[tag(&last)]).await.unwrap();
    let run = Run::new();
    let before = sides.source.count("GET /v2/app/manifests/sha256-*");
    for name in names(5) {
        let what = Reference::Tag(tag(&name));
        let tags = [tag(&name)];
        let task = Task {
            from: &sides.from,
            what: &what,
            to: &sides.to,
            tags: &tags,
            known: Known::Absent,
        };
        run.copy(task, &options).await.unwrap();
    }
    // The first image finds out; of the others only one has a list, and a signature.
    assert_eq!(sides.source.count("GET /v2/app/referrers/*"), 1);
    assert_eq!(sides.source.count("GET /v2/app/tags/list"), 1);
    let asked = sides.source.count("GET /v2/app/manifests/sha256-*") - before;
    assert_eq!(asked, 1 + 1 + 1);
    assert_eq!(sides.target.count("HEAD /v2/app/manifests/v*"), 0);
    for (what, expected) in [
        (Reference::Tag(tag(&signature)), signed.digest),
        (Reference::Digest(attached.digest), attached.digest),
    ] {
        let found = sides.to.manifest(&what).await.unwrap();
        assert_eq!(found.digest, expected);
    }
}

#[tokio::test]
async fn tags_in_one_are_all_tags_or_not_known() {
    let list = |tags: &'static str| {
        let body = format!(r#"{{"name":"app","tags":{tags}}}"#);
        move |_: &_| Answer::new(200).body(body.clone())
    };
    let linked = |_: &_| {
        let link = r#"</v2/app/tags/list?n=1000&last=b>; rel="next""#;
        let body = r#"{"name":"app","tags":["a","b"]}"#;
        Answer::new(200).header("link", link).body(body)
    };
    let line = "GET /v2/app/tags/list";
    for (script, expected) in [
        (Script::new().on(line, list(r#"["a","b"]"#)), Ok(Some(2))),
        (Script::new().on(line, list("null")), Ok(Some(0))),
        (Script::new().on(line, linked), Ok(None)),
        // A size of pages that it does not like.
        (
            { Script::new().once(line, |_| Answer::error(400, "UNSUPPORTED")) }
                .on(line, list(r#"["a"]"#)),
            Ok(Some(1)),
        ),
        (
            Script::new().on(line, |_| Answer::error(404, "NAME_UNKNOWN")),
            Ok(Some(0)),
        ),
        (
            Script::new().on(line, |_| Answer::error(403, "DENIED")),
            Err(ErrorKind::Denied),
        ),
    ] {
        let peer = Peer::start(script).await;
        let found = peer.repository().tags_in_one().await;
        let count = found.map(|tags| tags.map(|tags| tags.len()));
        assert_eq!(count.map_err(|error| error.kind()), expected);
        assert!(peer.seen().len() <= 2);
    }
    assert_eq!(Memory::new().tags_in_one().await.unwrap(), None);
}

/// A place that keeps who comes waiting as a test says, and counts.
#[derive(Debug)]
struct Gate {
    inner: Memory,
    lanes: usize,
    /// So many blobs go in together.
    blobs: Option<Barrier>,
    /// The first tag goes in after this many others.
    first_after: usize,
    put: watch::Sender<usize>,
    manifests: Mutex<Vec<(Digest, Vec<Tag>)>>,
    busy: AtomicUsize,
    most: AtomicUsize,
    refused: Option<Tag>,
}

impl Gate {
    fn new(lanes: usize) -> Self {
        Self {
            inner: Memory::new(),
            lanes,
            blobs: None,
            first_after: 0,
            put: watch::Sender::new(0),
            manifests: Mutex::default(),
            busy: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            refused: None,
        }
    }
}

#[async_trait]
impl Store for Gate {
    fn name(&self) -> String {
        "gate".to_owned()
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    async fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        self.inner.resolve(reference).await
    }

    async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        self.inner.manifest(reference).await
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        self.inner.tags().await
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        self.inner.has_blob(blob).await
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        self.inner.blob(blob, offset).await
    }

    async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Arc<dyn BlobSource>,
        from: Option<&Origin>,
    ) -> Result<Moved> {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        if let Some(barrier) = &self.blobs {
            barrier.wait().await;
        }
        self.busy.fetch_sub(1, Ordering::SeqCst);
        self.inner.put_blob(blob, source, from).await
    }

    async fn put_manifest(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        if tags.contains(&tag("v000")) {
            let mut put = self.put.subscribe();
            let enough = put.wait_for(|put| *put >= self.first_after).await;
            drop(enough.unwrap());
        }
        if tags.iter().any(|tag| Some(tag) == self.refused.as_ref()) {
            return Err(Error::new(ErrorKind::Refused, "not this one"));
        }
        self.inner.put_manifest(manifest, tags).await?;
        let one = (manifest.digest, tags.to_vec());
        self.manifests.lock().unwrap().push(one);
        self.put.send_modify(|put| *put += 1);
        Ok(())
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.inner.referrers(subject).await
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.inner.delete_tag(tag).await
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        self.inner.delete_manifest(digest).await
    }
}

#[tokio::test]
async fn all_images_of_a_run_share_the_lanes_of_a_host() {
    const LANES: usize = 8;
    // With the config they are a multiple of the lanes: all go in together, or the test never ends.
    const IMAGES: usize = 3 * LANES - 1;
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    fill(&*from, IMAGES, false).await;
    let gate = Arc::new(Gate {
        blobs: Some(Barrier::new(LANES)),
        ..Gate::new(LANES)
    });
    let to: Arc<dyn Store> = Arc::clone(&gate) as Arc<dyn Store>;
    let synced = sync(&[all_tags(&from, &to)], &SyncOptions::default()).await;
    assert!(synced.failure().is_none(), "{synced:?}");
    assert_eq!(gate.most.load(Ordering::SeqCst), LANES);
}

#[tokio::test]
async fn a_slow_image_and_a_failing_one_hold_up_no_other() {
    // More than go at once.
    const COUNT: usize = IMAGES + 20;
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    fill(&*from, COUNT, true).await;
    let gate = Arc::new(Gate {
        first_after: COUNT - 2,
        refused: Some(tag("v001")),
        ..Gate::new(48)
    });
    let to: Arc<dyn Store> = Arc::clone(&gate) as Arc<dyn Store>;
    let options = SyncOptions {
        keep_going: true,
        ..SyncOptions::default()
    };
    let synced = sync(&[all_tags(&from, &to)], &options).await;
    // The order is that of the tags, whatever came first.
    let works: Vec<Work> = synced.steps.iter().map(|step| step.work.clone()).collect();
    let expected = names(COUNT).into_iter().map(|name| {
        let name = tag(&name);
        Work::Copy(Reference::Tag(name.clone()), vec![name])
    });
    assert_eq!(works, expected.collect::<Vec<_>>());
    let failed: Vec<bool> = { synced.steps.iter() }
        .map(|step| matches!(step.outcome, Outcome::Failed(_)))
        .collect();
    assert!(failed[1] && synced.undone() == 1, "{synced:?}");
    let last = gate.manifests.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.1, [tag("v000")]);
    assert_eq!(to.tags().await.unwrap().len(), COUNT - 1);
}

#[tokio::test]
async fn an_image_that_several_tags_name_moves_once() {
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    let index = index(&*from, &["1", "1.2", "latest"]).await;
    let gate = Arc::new(Gate::new(48));
    let to: Arc<dyn Store> = Arc::clone(&gate) as Arc<dyn Store>;
    let synced = sync(&[all_tags(&from, &to)], &SyncOptions::default()).await;
    assert!(synced.failure().is_none(), "{synced:?}");
    let put = gate.manifests.lock().unwrap().clone();
    let named: HashSet<Tag> = put.iter().flat_map(|(_, tags)| tags.clone()).collect();
    assert_eq!(named, ["1", "1.2", "latest"].map(tag).into());
    // Two children, and the index under each name.
    assert_eq!(put.len(), 2 + 3, "{put:?}");
    for (digest, _) in &put[2..] {
        assert_eq!(*digest, index.digest);
    }
    let sums = { synced.steps.iter() }.map(|step| match &step.outcome {
        Outcome::Copied(copied) => (copied.manifests, copied.blobs_sent),
        _ => (0, 0),
    });
    let sums = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(sums, (5, 4));
}
