//! What the copies of one run share. A blob moves to a registry once, however many images need it; an
//! image moves once, however many tags name it; and all copies to a host share its lanes.
//!
//! Locks are taken in one order: the turn of an image, the turn of a blob, a lane. Who waits for a lane
//! waits only for blobs that are on their way, so that no two copies can wait for each other.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockhand_oci::{Algorithm, Digest, Tag};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::CopyOptions;
use crate::Result;
use crate::store::{Origin, Store};

/// Blobs from this size on take few lanes, in bytes: their bytes are what takes time, and each holds
/// buffers.
pub(super) const BIG: u64 = 8 * 1024 * 1024;
/// How many blobs of that size move to a host at once.
pub(super) const BIG_LANES: usize = 6;
/// How many blobs, and how many images, are remembered. At some 250 bytes each they take 25 MB; one that
/// is forgotten costs a request more when it is met again.
const KEPT_MAX: usize = 50_000;
/// Of how many places the digest tags are remembered. No more are in use at a time.
const LISTS_MAX: usize = 64;
/// The most bytes of manifests that an image may have in memory while others are copied. Those of an
/// image for ten platforms have some 50 kB.
const SHARE: u64 = 512 * 1024;

/// Copies that share what they need.
#[derive(Debug)]
pub struct Run {
    state: Mutex<State>,
    /// For the one image at a time whose manifests take more than [`SHARE`].
    large: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    places: Vec<Known>,
    ids: HashMap<String, PlaceId>,
    lanes: HashMap<PlaceId, Arc<Lanes>>,
    /// In which places of a host a blob is by now.
    blobs: HashMap<(PlaceId, Digest), Turn<Vec<PlaceId>>>,
    /// Whether an image is whole at a place, with all that was to come with it.
    images: HashMap<Image, Turn<bool>>,
    digest_tags: HashMap<PlaceId, Arc<OnceCell<Vec<Tag>>>>,
}

/// Held by the copy that brings something, while others wait for it.
pub(super) type Turn<T> = Arc<tokio::sync::Mutex<T>>;
type PlaceId = u32;

#[derive(Clone, Debug)]
struct Known {
    origin: Option<Origin>,
    /// Keeps the address its own, by which a place that is no repository is known.
    _store: Arc<dyn Store>,
}

/// An image on its way, and what comes with it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Image {
    from: PlaceId,
    to: PlaceId,
    root: Digest,
    referrers: bool,
    digest_tags: bool,
}

/// A place to which copies go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: PlaceId,
    /// What stands for all repositories of its registry.
    host: PlaceId,
    pub(super) lanes: Arc<Lanes>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            large: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Run {
    /// A run without any copy yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place, with the lanes of its host: as many as it has when it is first met.
    pub(super) fn target(&self, to: &Arc<dyn Store>, options: &CopyOptions) -> Target {
        let mut state = self.state();
        let place = state.place(to);
        let host = match to.origin() {
            Some(origin) => state.id(&format!("host {}", origin.host), to),
            None => place,
        };
        let most = to.lanes().min(options.lanes.unwrap_or(usize::MAX)).max(1);
        let lanes = state.lanes.entry(host);
        let lanes = Arc::clone(lanes.or_insert_with(|| Arc::new(Lanes::new(most))));
        Target { place, host, lanes }
    }

    /// The turn to bring a blob to a host; within, the places where it is by now.
    pub(super) fn blob(&self, target: &Target, blob: &Digest) -> Turn<Vec<PlaceId>> {
        turn(&mut self.state().blobs, (target.host, *blob))
    }

    /// The turn to bring an image to a place; within, whether it is there as a whole.
    pub(super) fn image(
        &self,
        from: &Arc<dyn Store>,
        target: &Target,
        root: &Digest,
        options: &CopyOptions,
    ) -> Turn<bool> {
        let mut state = self.state();
        let image = Image {
            from: state.place(from),
            to: target.place,
            root: *root,
            referrers: options.referrers,
            digest_tags: options.digest_tags,
        };
        turn(&mut state.images, image)
    }

    /// The repository that a place is, when it is one.
    pub(super) fn origin(&self, place: PlaceId) -> Option<Origin> {
        let state = self.state();
        let known = state.places.get(usize::try_from(place).ok()?)?;
        known.origin.clone()
    }

    /// The tags of a place that begin with a digest, sorted; asked for once.
    pub(super) async fn digest_tags(&self, from: &Arc<dyn Store>) -> Result<DigestTags> {
        let list = {
            let mut state = self.state();
            let place = state.place(from);
            if state.digest_tags.len() >= LISTS_MAX {
                state.digest_tags.clear();
            }
            Arc::clone(state.digest_tags.entry(place).or_default())
        };
        list.get_or_try_init(|| async {
            let mut tags = from.tags().await?;
            tags.retain(may_be_digest_tag);
            tags.sort();
            tags.shrink_to_fit();
            Ok::<_, crate::Error>(tags)
        })
        .await?;
        Ok(DigestTags(list))
    }

    /// What counts the manifests that one image holds in memory.
    pub(super) fn room(&self) -> Room {
        Room {
            bytes: AtomicU64::new(0),
            large: Arc::clone(&self.large),
            permit: OnceCell::new(),
        }
    }
}

impl State {
    /// What stands for a place: the same for each store that is the same repository.
    fn place(&mut self, store: &Arc<dyn Store>) -> PlaceId {
        match store.origin() {
            Some(origin) => self.id(&format!("{}/{}", origin.host, origin.repository), store),
            None => self.id(&format!("at {:p}", Arc::as_ptr(store)), store),
        }
    }

    fn id(&mut self, key: &str, store: &Arc<dyn Store>) -> PlaceId {
        if let Some(known) = self.ids.get(key) {
            return *known;
        }
        let id = PlaceId::try_from(self.places.len()).unwrap_or(PlaceId::MAX);
        self.places.push(Known {
            origin: store.origin(),
            _store: Arc::clone(store),
        });
        self.ids.insert(key.to_owned(), id);
        id
    }
}

/// The turn for `key`. When there are too many, those are forgotten that nobody is at.
fn turn<K: Eq + Hash, T: Default>(turns: &mut HashMap<K, Turn<T>>, key: K) -> Turn<T> {
    if turns.len() >= KEPT_MAX && !turns.contains_key(&key) {
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }
    Arc::clone(turns.entry(key).or_default())
}

fn may_be_digest_tag(tag: &Tag) -> bool {
    let text = tag.as_str();
    let named = |algorithm: Algorithm| {
        let rest = text.strip_prefix(algorithm.as_str());
        rest.is_some_and(|rest| rest.starts_with('-'))
    };
    Algorithm::ALL.into_iter().any(named)
}

/// The tags of a place that begin with a digest.
#[derive(Debug)]
pub(super) struct DigestTags(Arc<OnceCell<Vec<Tag>>>);

impl DigestTags {
    fn all(&self) -> &[Tag] {
        self.0.get().map_or(&[][..], Vec::as_slice)
    }

    /// Whether this one is among them.
    pub(super) fn has(&self, tag: &Tag) -> bool {
        self.all().binary_search(tag).is_ok()
    }

    /// Those that begin with this digest and go on after it: `sha256-….sig`.
    pub(super) fn of(&self, digest: &Digest) -> &[Tag] {
        let all = self.all();
        let prefix = digest.to_string().replacen(':', "-", 1) + ".";
        let begin = all.partition_point(|tag| tag.as_str() < prefix.as_str());
        let own = all[begin..].partition_point(|tag| tag.as_str().starts_with(&prefix));
        &all[begin..begin + own]
    }
}

/// How many blobs may be on their way to a host at once.
#[derive(Debug)]
pub(super) struct Lanes {
    all: Semaphore,
    big: Semaphore,
}

impl Lanes {
    fn new(most: usize) -> Self {
        Self {
            all: Semaphore::new(most),
            big: Semaphore::new(BIG_LANES.min(most)),
        }
    }

    /// Waits for a lane for a blob of this size; it is free again when what is returned is dropped.
    pub(super) async fn enter(&self, size: u64) -> [Option<SemaphorePermit<'_>>; 2] {
        // Nobody closes them.
        let big = match size >= BIG {
            true => self.big.acquire().await.ok(),
            false => None,
        };
        [big, self.all.acquire().await.ok()]
    }
}

/// Bounds the memory that the manifests of all images take that are copied at once: each may have a
/// small share, and one at a time as much as a graph may.
#[derive(Debug)]
pub(super) struct Room {
    bytes: AtomicU64,
    large: Arc<Semaphore>,
    permit: OnceCell<Option<OwnedSemaphorePermit>>,
}

impl Room {
    /// Waits until there is room for so many bytes more. It is given back with the whole.
    pub(super) async fn take(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > SHARE {
            let wait = || Arc::clone(&self.large).acquire_owned();
            self.permit
                .get_or_init(|| async { wait().await.ok() })
                .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::Memory;
    use crate::connection::LANES;

    fn digest(text: &str) -> Digest {
        Algorithm::Sha256.digest(text.as_bytes())
    }

    #[test]
    fn places_are_the_same_by_repository_and_else_by_themselves() {
        let run = Run::new();
        let stores: [Arc<dyn Store>; 2] = [Arc::new(Memory::new()), Arc::new(Memory::new())];
        let options = CopyOptions::default();
        let [a, b] = [0, 1].map(|at| run.target(&stores[at], &options));
        assert_ne!((a.place, a.host), (b.place, b.host));
        assert_eq!(run.target(&stores[0], &options).place, a.place);
        let client = |name: &str| {
            let connection = crate::Connection::to("registry.example").unwrap();
            let client = crate::Client::new(connection).unwrap();
            Arc::new(client.repository(name.parse().unwrap())) as Arc<dyn Store>
        };
        let [one, same, other] = ["a", "a", "b"].map(|name| run.target(&client(name), &options));
        assert_eq!((one.place, one.host), (same.place, same.host));
        assert!(one.place != other.place && one.host == other.host);
        assert!(Arc::ptr_eq(&one.lanes, &other.lanes));
        assert_eq!(run.origin(other.place).unwrap().repository.as_str(), "b");
    }

    #[test]
    fn what_nobody_is_at_is_forgotten_when_there_is_too_much() {
        let mut turns = HashMap::new();
        let held = turn::<usize, bool>(&mut turns, 0);
        for key in 1..=KEPT_MAX {
            turn(&mut turns, key);
        }
        assert_eq!(turns.len(), 2);
        assert!(Arc::ptr_eq(&held, &turn(&mut turns, 0)));
    }

    #[test]
    fn digest_tags_are_found_by_their_digest() {
        let (one, two) = (digest("1"), digest("2"));
        let text = |digest: &Digest, end: &str| {
            let tag = format!("{}{end}", digest.to_string().replace(':', "-"));
            tag.parse::<Tag>().unwrap()
        };
        let mut tags = vec![
            text(&one, ".sig"),
            text(&two, ".sig"),
            text(&one, ".att"),
            text(&one, ""),
            "sha256-x".parse().unwrap(),
            "1.0".parse().unwrap(),
        ];
        tags.retain(may_be_digest_tag);
        assert_eq!(tags.len(), 5);
        tags.sort();
        let list = DigestTags(Arc::new(OnceCell::new_with(Some(tags))));
        assert_eq!(list.of(&one), [text(&one, ".att"), text(&one, ".sig")]);
        assert_eq!(list.of(&two), [text(&two, ".sig")]);
        assert!(list.of(&digest("3")).is_empty());
        assert!(list.has(&text(&one, "")) && !list.has(&text(&two, "")));
    }

    #[tokio::test]
    async fn one_image_at_a_time_takes_more_than_its_share() {
        let run = Run::new();
        let (first, second) = (run.room(), run.room());
        first.take(SHARE).await;
        second.take(SHARE).await;
        first.take(1).await;
        first.take(SHARE).await;
        let mut waits = Box::pin(second.take(1));
        assert!((&mut waits).now_or_never().is_none());
        drop(first);
        waits.await;
    }

    #[tokio::test]
    async fn big_blobs_leave_lanes_to_small_ones() {
        let lanes = Lanes::new(LANES);
        let mut held = Vec::new();
        for _ in 0..BIG_LANES {
            held.push(lanes.enter(BIG).now_or_never().unwrap());
        }
        assert!(lanes.enter(BIG).now_or_never().is_none());
        for _ in BIG_LANES..LANES {
            held.push(lanes.enter(BIG - 1).now_or_never().unwrap());
        }
        assert!(lanes.enter(0).now_or_never().is_none());
        // A single lane is one, for all sizes.
        let one = Lanes::new(1);
        let only = one.enter(BIG).await;
        assert!(one.enter(0).now_or_never().is_none());
        drop(only);
        assert!(one.enter(0).now_or_never().is_some());
    }
}
