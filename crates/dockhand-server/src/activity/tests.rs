#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use tokio::time::sleep;

use super::*;

const IDLE: Duration = Duration::from_secs(100);
const HALF: Duration = Duration::from_secs(50);

/// When the connection has been idle for [`IDLE`], from now on.
async fn idle(activity: &Activity) -> Duration {
    let begun = Instant::now();
    activity.idle(IDLE).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_since_its_last_request() {
    let activity = Activity::new();
    drop(activity.begin());
    assert_eq!(idle(&activity).await, IDLE);
    assert_eq!(idle(&activity).await, Duration::ZERO);
    drop(activity.begin());
    sleep(HALF).await;
    assert_eq!(idle(&activity).await, HALF);
}

#[tokio::test(start_paused = true)]
async fn what_is_open_keeps_it() {
    let activity = Activity::new();
    let open = activity.begin();
    let answer = open.answer(Body::from("slowly"));
    let closing = tokio::spawn(async move {
        sleep(3 * IDLE).await;
        drop(open);
        sleep(3 * IDLE + HALF).await;
        drop(answer);
    });
    assert_eq!(idle(&activity).await, 7 * IDLE + HALF);
    closing.await.unwrap();
    let none = activity.begin().answer(Body::empty());
    assert_eq!(idle(&activity).await, IDLE, "there is no body");
    drop(none);
}

#[tokio::test(start_paused = true)]
async fn a_head_on_its_way_keeps_it_too() {
    let activity = Activity::new();
    assert!(activity.head_since().is_some(), "the first is waited for");
    drop(activity.begin());
    assert_eq!(activity.head_since(), None);
    sleep(HALF).await;
    activity.received();
    assert_eq!(activity.head_since(), Some(Instant::now()));
    assert!(activity.is_unread());
    let (begun, asked) = (Instant::now(), activity.clone());
    let closing = tokio::spawn(async move {
        sleep(5 * IDLE).await;
        drop(asked.begin());
    });
    activity.idle(IDLE).await;
    assert_eq!(begun.elapsed(), 6 * IDLE);
    assert!(!activity.is_unread());
    closing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_within_a_request_are_no_head() {
    let activity = Activity::new();
    let open = activity.begin();
    activity.received();
    assert_eq!(activity.head_since(), None);
    drop(open);
    assert_eq!(activity.head_since(), None);
    activity.state().unread = true;
    activity.received();
    assert_eq!(activity.head_since(), None, "the rest of a body");
    drop(activity.begin());
    activity.received();
    assert!(activity.head_since().is_some(), "it is over");
}
