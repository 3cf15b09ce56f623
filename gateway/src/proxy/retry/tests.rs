use super::*;

const FINE: Attempted =
    Attempted { sent: Sent::AtHand, idempotent: true, begun: false, attempts_left: true, another_node: true };

/// Method by what was sent: the heart of it.
#[test]
fn what_may_have_had_an_effect_is_sent_again_only_if_that_does_no_harm() {
    use RetryRefusal::{Body, Method};
    for (idempotent, sent, expected) in [
        (true, Sent::Nothing, Ok(())),
        (true, Sent::AtHand, Ok(())),
        (true, Sent::Gone, Err(Body)),
        (false, Sent::Nothing, Ok(())),
        (false, Sent::AtHand, Err(Method)),
        (false, Sent::Gone, Err(Method)),
    ] {
        assert_eq!(permission(Attempted { idempotent, sent, ..FINE }), expected, "{idempotent} {sent:?}");
    }
}

#[test]
fn nothing_is_sent_again_once_the_client_has_a_part_of_an_answer() {
    for sent in [Sent::Nothing, Sent::AtHand, Sent::Gone] {
        assert!(permission(Attempted { begun: true, sent, ..FINE }).is_err(), "{sent:?}");
    }
}

#[test]
fn attempts_and_nodes_must_be_left() {
    let why = |attempted| permission(attempted).unwrap_err();
    assert_eq!(why(Attempted { attempts_left: false, ..FINE }), RetryRefusal::Attempts);
    assert_eq!(why(Attempted { another_node: false, ..FINE }), RetryRefusal::NoNode);
    let neither = Attempted { attempts_left: false, another_node: false, ..FINE };
    assert_eq!(why(neither), RetryRefusal::Attempts);
    assert_eq!(
        why(Attempted { idempotent: false, ..neither }),
        RetryRefusal::Method,
        "the deepest reason counts"
    );
}
