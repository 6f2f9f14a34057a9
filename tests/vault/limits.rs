//! What a server that cannot answer now is told as.

use std::sync::Arc;

use cutover_engine::FailureCase;
use cutover_tests::{OpenBao, TestClock};
use serde_json::{Value, json};

use crate::place::Place;

#[tokio::test]
async fn a_sealed_server_is_unavailable_and_said_to_be_sealed() {
    let server = OpenBao::start();
    let place = Place::of_root(&server).await;
    assert_eq!(place.ask("PUT", "/v1/secret/data/a", json!({"data": {"v": 1}})).await.0, 200);
    server.seal();
    for (method, path) in [("GET", "/v1/secret/data/a"), ("PUT", "/v1/secret/data/a"), ("LIST", "/v1/secret/metadata/")] {
        let failure = place.failure(method, path).await;
        assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Unavailable, Some("CUT3261")), "{method}");
        assert!(failure.text.ends_with("is sealed"), "{failure}");
    }
    assert!(place.backend.health().await.expect_err("sealed").text.ends_with("is sealed"));
    server.unseal();
    assert_eq!(place.backend.health().await, Ok(()));
    assert_eq!(place.ask("GET", "/v1/secret/data/a", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let server = OpenBao::start();
    let place = Place::of_root(&server).await;
    drop(server);
    assert_eq!(place.failure("GET", "/v1/secret/data/a").await.case, FailureCase::Unavailable);
    assert_eq!(place.backend.health().await.expect_err("gone").case, FailureCase::Unavailable);
}

#[tokio::test]
async fn a_short_block_interval_is_waited_out_and_a_long_one_ends_the_call() {
    let server = OpenBao::start();
    let quota = |block: &str| {
        let rule = json!({"path": "secret/", "rate": 3, "interval": "1s", "block_interval": block});
        server.must("POST", "/v1/sys/quotas/rate-limit/cutover", rule);
    };
    quota("2s");
    let place = Place::of_root(&server).await;
    let begun = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(place.ask("GET", "/v1/secret/config", Value::Null).await.0, 200, "the host waits");
    }
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2));
    quota("10m");
    let clock = Arc::new(TestClock::new());
    let hasty = Place::open_at(&server.url(), json!({"token": "env:TOKEN"}), &[("TOKEN", server.root())], clock).await;
    let mut ended = None;
    for _ in 0..6 {
        if let Err(cutover_runtime::connection::SendError::NotSent { failure }) = hasty.send("GET", "/v1/secret/config", Value::Null).await
        {
            ended = Some(failure);
            break;
        }
    }
    let failure = ended.expect("blocked for ten minutes");
    assert!(matches!(failure.case, FailureCase::RateLimited(seconds) if (1..=20).contains(&seconds)), "{failure}");
}
