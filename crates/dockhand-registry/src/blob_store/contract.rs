//! What every store has to keep to, as a suite that any backend's tests call.
//!
//! Each case gets a store of its own and leaves it without a stage; [`run`] checks that.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dockhand_oci::{Algorithm, Digest, Hasher, UploadId, Verified};
use futures_util::StreamExt;

use super::{BlobKey, BlobStore, BlobStream, StageWriter, Staged, StoreError};
use crate::layout::blob_key;

mod adopting;
mod races;
mod reading;
mod staging;

type Store = Arc<dyn BlobStore>;
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Case = (&'static str, fn(Store) -> Running);

/// Names each case after its function.
macro_rules! cases {
    ($($file:ident :: $case:ident),* $(,)?) => {
        [$((concat!(stringify!($file), "::", stringify!($case)), |store| Box::pin($file::$case(store)))),*]
    };
}

const CASES: [Case; 21] = cases![
    reading::whole_blobs_and_every_kind_of_range,
    reading::what_is_missing_is_said,
    reading::a_blob_that_is_too_short_is_refused_before_it_is_read,
    reading::a_reader_that_stalls_or_leaves_holds_nobody_up,
    staging::an_upload_goes_on_at_the_exact_byte,
    staging::an_upload_survives_an_adoption_that_nobody_heard_of,
    staging::what_a_dropped_writer_left_is_dropped,
    staging::what_is_durable_can_be_read_back,
    staging::a_stage_without_bytes_is_none,
    staging::a_stage_that_is_lost_is_said,
    staging::stages_are_listed_until_they_are_discarded,
    staging::a_writer_dropped_in_the_middle_leaves_nothing_after_a_discard,
    adopting::a_blob_without_bytes,
    adopting::chunks_of_every_shape,
    adopting::a_wrong_size_is_refused_and_harms_nothing,
    adopting::the_same_key_again_replaces_equal_bytes,
    adopting::other_bytes_under_the_key_are_replaced,
    adopting::generations_and_algorithms_do_not_meet,
    adopting::deleting_twice_is_no_error,
    races::many_uploads_at_once,
    races::many_writers_of_one_blob,
];

/// Runs every case on a store that `make` gives, which has to be empty each time.
///
/// # Panics
/// When the store does not keep to the contract; the message names the case.
pub async fn run(make: impl Fn() -> Arc<dyn BlobStore>) {
    for (name, case) in CASES {
        let store = make();
        // A task of its own, so that the name stands behind the message of the panic.
        let outcome = tokio::spawn(case(store.clone())).await;
        assert!(outcome.is_ok(), "{name} failed on {store:?}");
        let left = done(store.staged().await);
        assert!(
            left.is_empty(),
            "{name} left stages behind in {store:?}: {left:?}"
        );
    }
}

/// Content that differs with its seed and at every place.
fn content(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = BytesMut::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

fn upload(number: u128) -> UploadId {
    UploadId::from_random(number)
}

fn proof(bytes: &[u8]) -> Verified {
    let mut hash = Hasher::new(Algorithm::Sha256);
    hash.update(bytes);
    match hash.verify(&digest(bytes)) {
        Ok(proof) => proof,
        Err(mismatch) => panic!("{mismatch}"),
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Algorithm::Sha256.digest(bytes)
}

fn key(bytes: &[u8]) -> BlobKey {
    blob_key(&digest(bytes), 1)
}

/// The value, or a panic that says what the store answered.
#[track_caller]
fn done<T>(outcome: Result<T, StoreError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}

async fn begin(store: &Store, id: UploadId) -> Box<dyn StageWriter> {
    done(store.stage(id, &Staged::default()).await)
}

/// Writes in batches as a server does.
async fn write(writer: &mut Box<dyn StageWriter>, bytes: &Bytes) {
    const BATCH: usize = 256 * 1024;
    for at in (0..bytes.len()).step_by(BATCH) {
        let batch = bytes.slice(at..bytes.len().min(at + BATCH));
        done(writer.write(vec![batch]).await);
    }
}

/// Stores a blob in one go.
async fn put(store: &Store, id: UploadId, bytes: &Bytes) -> BlobKey {
    let mut writer = begin(store, id).await;
    write(&mut writer, bytes).await;
    let key = key(bytes);
    done(writer.adopt(&proof(bytes), &key).await);
    key
}

/// Stores a blob whose first half was acknowledged before.
async fn put_in_two(store: &Store, id: UploadId, bytes: &Bytes) {
    let half = bytes.len() / 2;
    let mut writer = begin(store, id).await;
    write(&mut writer, &bytes.slice(..half)).await;
    let staged = done(writer.sync().await);
    let mut writer = done(store.stage(id, &staged).await);
    write(&mut writer, &bytes.slice(half..)).await;
    done(writer.adopt(&proof(bytes), &key(bytes)).await);
    done(store.discard(id, &staged).await);
}

/// All of a stream, and the error at its end if there is one.
async fn drain(mut stream: BlobStream) -> (Bytes, Option<StoreError>) {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => {
                assert!(
                    stream.next().await.is_none(),
                    "something came after an error"
                );
                return (bytes.freeze(), Some(error));
            }
        }
    }
    (bytes.freeze(), None)
}

/// Fails unless the store has just these bytes under their key.
async fn expect(store: &Store, key: &BlobKey, bytes: &Bytes) {
    let size = bytes.len() as u64;
    let (found, error) = drain(done(store.read(key, size, 0..size).await)).await;
    assert!(error.is_none(), "reading {key:?}: {error:?}");
    assert!(found == *bytes, "{key:?} has other bytes");
}
