//! The writer: what shares a commit shares nothing else, and trouble stays where it belongs.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::open;
use crate::metadata::Metadata;
use crate::metadata::engine::{Effort, Engine};
use crate::metadata::error::MetadataError;
use crate::metadata::sql::{DbError, Sql, Value, all};
use crate::metadata::sqlite::writer::QUEUE;

const ADD: &str = "INSERT INTO repository (name, created) VALUES (?1, 0)";
const NAMES: &str = "SELECT name FROM repository ORDER BY name";

fn add(name: &'static str) -> impl FnOnce(&mut dyn Sql) -> Result<(), DbError> + Send + 'static {
    move |sql| sql.execute(ADD, &[Value::Text(name)]).map(|_| ())
}

async fn names(engine: &Engine) -> Vec<String> {
    let read = |sql: &mut dyn Sql| all(sql, NAMES, &[], |row| Ok(row.text(0)?.to_owned()));
    engine
        .read("reading names", Effort::Point, read)
        .await
        .unwrap()
}

/// A job that holds the writer, with its transaction open, until it is let go; the rest of what is
/// asked for meanwhile is the next batch.
struct Hold {
    go: mpsc::Sender<()>,
    held: tokio::task::JoinHandle<Result<(), MetadataError>>,
}

async fn hold(metadata: &Arc<Metadata>) -> Hold {
    let (go, wait) = mpsc::channel();
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let metadata = Arc::clone(metadata);
    let held = tokio::spawn(async move {
        let job = move |sql: &mut dyn Sql| {
            add("held")(sql)?;
            let _ = begun.send(());
            wait.recv_timeout(Duration::from_secs(60))
                .map_err(|e| DbError::Other(Box::new(e)))
        };
        metadata.engine.write("holding the writer", job).await
    });
    beginning.await.unwrap();
    Hold { go, held }
}

impl Hold {
    async fn release(self) {
        self.go.send(()).unwrap();
        self.held.await.unwrap().unwrap();
    }
}

type Outcome = tokio::task::JoinHandle<Result<(), MetadataError>>;

fn submit(
    metadata: &Arc<Metadata>,
    job: impl FnOnce(&mut dyn Sql) -> Result<(), DbError> + Send + 'static,
) -> Outcome {
    let metadata = Arc::clone(metadata);
    tokio::spawn(async move { metadata.engine.write("a job", job).await })
}

/// Lets what was submitted get into the queue. The runtime of these tests has one thread.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_that_fails_does_not_touch_the_others() {
    let metadata = Arc::new(open());
    let held = hold(&metadata).await;
    let before = submit(&metadata, add("before"));
    let twice = submit(&metadata, |sql| {
        add("twice")(sql).and_then(|()| add("twice")(sql))
    });
    let panics = submit(&metadata, |sql| {
        add("panics")(sql)?;
        panic!("on purpose")
    });
    let refused = submit(&metadata, |sql| {
        add("refused")(sql)?;
        Err(DbError::damaged("on purpose"))
    });
    let after = submit(&metadata, add("after"));
    settle().await;
    assert_eq!(
        names(&metadata.engine).await,
        Vec::<String>::new(),
        "reads wait for nobody"
    );
    held.release().await;
    before.await.unwrap().unwrap();
    assert!(matches!(
        twice.await.unwrap(),
        Err(MetadataError::Other { doing: "a job", .. })
    ));
    assert!(matches!(
        panics.await.unwrap(),
        Err(MetadataError::Other { .. })
    ));
    assert!(matches!(
        refused.await.unwrap(),
        Err(MetadataError::Corrupt { .. })
    ));
    after.await.unwrap().unwrap();
    assert_eq!(names(&metadata.engine).await, ["after", "before", "held"]);
    // Alone in its batch, a job fails the same way.
    let alone = submit(&metadata, |sql| {
        add("alone")(sql).and_then(|()| add("alone")(sql))
    });
    assert!(alone.await.unwrap().is_err());
    submit(&metadata, add("later")).await.unwrap().unwrap();
    assert_eq!(
        names(&metadata.engine).await,
        ["after", "before", "held", "later"]
    );
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_begun() {
    let metadata = Arc::new(open());
    let held = hold(&metadata).await;
    let abandoned = submit(&metadata, add("abandoned"));
    settle().await;
    abandoned.abort();
    settle().await;
    held.release().await;
    submit(&metadata, add("kept")).await.unwrap().unwrap();
    assert_eq!(names(&metadata.engine).await, ["held", "kept"]);
}

#[tokio::test]
async fn a_full_queue_turns_writers_away() {
    let metadata = Arc::new(open());
    let held = hold(&metadata).await;
    let queued: Vec<_> = (0..QUEUE).map(|_| submit(&metadata, |_| Ok(()))).collect();
    settle().await;
    // The wait for a place is skipped, since nothing else can happen in this runtime.
    tokio::time::pause();
    let one_too_many = metadata
        .engine
        .write("waiting", |_: &mut dyn Sql| Ok(()))
        .await;
    assert!(
        matches!(one_too_many, Err(MetadataError::Busy)),
        "{one_too_many:?}"
    );
    tokio::time::resume();
    held.release().await;
    for job in queued {
        job.await.unwrap().unwrap();
    }
    metadata
        .engine
        .write("after", |_: &mut dyn Sql| Ok(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_answer_and_passes() {
    let metadata = Arc::new(open());
    metadata.play_full(true).await;
    let big: &'static str = "n".repeat(100_000).leak();
    let held = hold(&metadata).await;
    let jobs = [submit(&metadata, add("small")), submit(&metadata, add(big))];
    settle().await;
    held.release().await;
    let [small, big_job] = jobs;
    assert!(matches!(big_job.await.unwrap(), Err(MetadataError::Full)));
    let small = small.await.unwrap();
    assert!(
        matches!(small, Ok(()) | Err(MetadataError::Full)),
        "{small:?}"
    );
    let kept = names(&metadata.engine).await;
    assert_eq!(kept.contains(&"small".to_owned()), small.is_ok());
    metadata.play_full(false).await;
    submit(&metadata, add(big)).await.unwrap().unwrap();
    metadata.ready().await.unwrap();
}

#[tokio::test]
async fn after_a_failed_disk_nothing_is_written() {
    let metadata = Arc::new(open());
    submit(&metadata, add("before")).await.unwrap().unwrap();
    let watcher = tokio::spawn({
        let metadata = Arc::clone(&metadata);
        async move { metadata.failed().await }
    });
    let held = hold(&metadata).await;
    let fine = submit(&metadata, add("same batch"));
    let broken = submit(&metadata, |_| {
        Err(DbError::Io("the disk failed on purpose".into()))
    });
    settle().await;
    held.release().await;
    for job in [fine, broken, submit(&metadata, add("later"))] {
        assert!(matches!(
            job.await.unwrap(),
            Err(MetadataError::Unavailable)
        ));
    }
    tokio::time::timeout(Duration::from_secs(5), watcher)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        metadata.ready().await,
        Err(MetadataError::Unavailable)
    ));
    assert_eq!(
        names(&metadata.engine).await,
        ["before", "held"],
        "reads go on"
    );
    metadata.close().await;
}

#[tokio::test]
async fn closing_finishes_what_waits() {
    let metadata = Arc::new(open());
    metadata.ready().await.unwrap();
    let held = hold(&metadata).await;
    let waiting = submit(&metadata, add("waiting"));
    settle().await;
    let closing = tokio::spawn({
        let metadata = Arc::clone(&metadata);
        async move { metadata.close().await }
    });
    settle().await;
    held.release().await;
    waiting.await.unwrap().unwrap();
    closing.await.unwrap();
    let late = submit(&metadata, add("late")).await.unwrap();
    assert!(matches!(late, Err(MetadataError::Unavailable)));
    let read = |_: &mut dyn Sql| Ok(());
    let read = metadata.engine.read("reading", Effort::Point, read).await;
    assert!(matches!(read, Err(MetadataError::Unavailable)));
    let failed = tokio::time::timeout(Duration::from_millis(20), metadata.failed()).await;
    assert!(failed.is_err(), "closed in good order is not failed");
}
