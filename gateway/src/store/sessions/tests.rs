//! What holds of sessions wherever they are kept: one suite, played to each store.
#![allow(clippy::unwrap_used)]

mod shared_redis;
mod tracking;

use std::collections::BTreeSet;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const OF: Owner<'static> = Owner { key: 1, name: "sticky", pool: "api" };

/// Whether a moved session keeps its token: a client that holds its own session has to be given another one.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Stays,
    Changes,
}

async fn suite(sessions: &Sessions, token: Token) {
    a_known_token_keeps_its_node_unless_that_is_replaced(sessions, token).await;
    an_unknown_token_is_never_taken_over(sessions).await;
    a_use_sees_its_own_sessions_only(sessions).await;
    ids_without_bounds_are_refused(sessions).await;
    if token == Token::Stays {
        a_forgotten_token_is_not_known(sessions).await;
        the_first_of_many_writers_wins(sessions).await;
    }
}

async fn a_known_token_keeps_its_node_unless_that_is_replaced(sessions: &Sessions, token: Token) {
    let first = sessions.bind(&OF, None, "a", HOUR, None).await.unwrap();
    assert_eq!(sessions.get(&OF, &first.token).await.unwrap().as_deref(), Some("a"));
    let kept = sessions.bind(&OF, Some(&first.token), "b", HOUR, None).await.unwrap();
    assert_eq!(kept, first);
    let kept = sessions.bind(&OF, Some(&first.token), "b", HOUR, Some("c")).await.unwrap();
    assert_eq!(kept, first);
    let moved = sessions.bind(&OF, Some(&first.token), "b", HOUR, Some("a")).await.unwrap();
    assert_eq!(&*moved.node, "b");
    assert_eq!(moved.token == first.token, token == Token::Stays);
    assert_eq!(sessions.get(&OF, &moved.token).await.unwrap().as_deref(), Some("b"));
}

async fn an_unknown_token_is_never_taken_over(sessions: &Sessions) {
    for token in ["", "mine", "AAAAAAAAAAAAAAAAAAAAAA", "a token that is far too long to be one"] {
        let binding = sessions.bind(&OF, Some(token), "a", HOUR, None).await.unwrap();
        assert_ne!(binding.token, token);
        assert!(binding.token.len() >= 22, "128 bits at least: {}", binding.token);
    }
}

async fn a_use_sees_its_own_sessions_only(sessions: &Sessions) {
    let other = Owner { key: 2, name: "other", ..OF };
    let binding = sessions.bind(&OF, None, "a", HOUR, None).await.unwrap();
    assert_eq!(sessions.get(&other, &binding.token).await, Ok(None));
    sessions.forget(&other, &binding.token).await.unwrap();
    assert!(sessions.get(&OF, &binding.token).await.unwrap().is_some());
}

async fn a_forgotten_token_is_not_known(sessions: &Sessions) {
    let binding = sessions.bind(&OF, None, "a", HOUR, None).await.unwrap();
    sessions.forget(&OF, &binding.token).await.unwrap();
    assert_eq!(sessions.get(&OF, &binding.token).await, Ok(None));
    let anew = sessions.bind(&OF, Some(&binding.token), "a", HOUR, None).await.unwrap();
    assert_ne!(anew.token, binding.token);
}

async fn ids_without_bounds_are_refused(sessions: &Sessions) {
    for node in ["", &"x".repeat(LONGEST_ID + 1)] {
        assert_eq!(sessions.bind(&OF, None, node, HOUR, None).await, Err(StoreError::Refused));
    }
    let longest = "x".repeat(LONGEST_ID);
    let binding = sessions.bind(&OF, None, &longest, HOUR, None).await.unwrap();
    assert_eq!(sessions.get(&OF, &binding.token).await.unwrap().as_deref(), Some(&*longest));
}

async fn the_first_of_many_writers_wins(sessions: &Sessions) {
    let token = sessions.bind(&OF, None, "start", HOUR, None).await.unwrap().token;
    let nodes: Vec<String> = (0..8).map(|index| format!("node-{index}")).collect();
    let write = |node| sessions.bind(&OF, Some(&token), node, HOUR, Some("start"));
    let bound = futures_util::future::join_all(nodes.iter().map(|node| write(node))).await;
    let winners: BTreeSet<_> = bound.into_iter().map(|bound| bound.unwrap().node).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
}

#[tokio::test]
async fn in_memory() {
    suite(&Sessions::in_memory(1000), Token::Stays).await;
}

#[tokio::test]
async fn in_cookies() {
    suite(&Sessions::in_cookies([&[7; 32][..]]), Token::Changes).await;
}

#[test]
fn what_a_thread_was_told_ends_when_another_moves_or_forgets_a_client() {
    let sessions = Sessions::default();
    let token = sessions.bind_now(&OF, None, "a", HOUR, None).unwrap().token;
    let told = || match sessions.get_now(&OF, token.as_bytes(), Instant::now()) {
        Now::Known(node) => node,
        Now::Ask => panic!("memory need not be asked"),
    };
    let elsewhere = |act: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| scope.spawn(act).join().unwrap());
    };
    assert_eq!((told().as_deref(), told().as_deref()), (Some("a"), Some("a")));
    elsewhere(&|| drop(sessions.bind_now(&OF, Some(&token), "b", HOUR, Some("a"))));
    assert_eq!((told().as_deref(), told().as_deref()), (Some("b"), Some("b")));
    elsewhere(&|| sessions.forget_now(&OF, &token).unwrap());
    assert_eq!(told(), None);
}
