//! What a thread was told of sessions just now.
//!
//! Browsers ask for a page and then for all that belongs to it, over a few connections, each of which is one thread's. So what a
//! store said of a session is kept for a moment where no other thread looks: here an answer costs a twentieth of what a store does
//! to find one among many, to tell which were used last, and to share all that between threads.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{KeyHash, token};
use crate::store::Now;

/// For so long an answer is taken from here. Chosen: what a store does not hear of meanwhile is no older for it, since it forgets those
/// who were used least recently of hundreds of thousands.
const BRIEF: Duration = Duration::from_secs(10);
/// So many answers each thread keeps. Chosen: 1.4 MB when full.
const MOST: usize = 14_000;

thread_local! {
    static ANSWERS: RefCell<Answers> = const { RefCell::new(Answers::none()) };
}

/// What one thread was told.
struct Answers {
    held: HashMap<Asked, Held, KeyHash>,
    /// The nodes in them, each once: many clients are bound to one, and its id is then at hand.
    nodes: HashSet<Arc<str>, KeyHash>,
}

impl Answers {
    const fn none() -> Answers {
        Answers {
            held: HashMap::with_hasher(KeyHash::with_seed(0)),
            nodes: HashSet::with_hasher(KeyHash::with_seed(0)),
        }
    }

    fn keep(&mut self, asked: Asked, node: &Arc<str>, until: Instant) {
        // Nothing is lost but a moment: they hold no longer, and looking for those that do not any more would take as long.
        if self.held.len() >= MOST || self.nodes.len() >= MOST {
            *self = Answers::none();
        }
        let node = match self.nodes.get(node) {
            Some(node) => node,
            None => {
                self.nodes.insert(Arc::clone(node));
                node
            }
        };
        self.held.insert(asked, Held { node: Arc::clone(node), until });
    }
}

/// The state of a store. Each has states of its own, and has another after each change by which an answer may be wrong.
#[derive(Debug)]
pub(super) struct State(AtomicU64);

impl Default for State {
    fn default() -> Self {
        // No store has so many changes.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        State(AtomicU64::new(NEXT.fetch_add(1 << 40, Ordering::Relaxed)))
    }
}

impl State {
    /// Where a user's token is bound: what this thread was `told` of it, or else what a `look` at the store says.
    pub(super) fn recall(
        &self,
        user: u32,
        token: &[u8],
        now: Instant,
        told: impl FnOnce(),
        look: impl FnOnce() -> Now<Option<Held>>,
    ) -> Now<Option<Arc<str>>> {
        let Ok(&token) = token.try_into() else { return Now::Known(None) };
        let asked = Asked { state: self.0.load(Ordering::Acquire), user, token };
        if let Some(node) = asked.find(now) {
            told();
            return Now::Known(Some(node));
        }
        match look() {
            Now::Known(Some(held)) => {
                asked.keep(&held, now);
                Now::Known(Some(held.node))
            }
            Now::Known(None) => Now::Known(None),
            Now::Ask => Now::Ask,
        }
    }

    /// Forgets the answers of all threads: to be called after a change.
    pub(super) fn change(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// A node that a token is bound to, and until when that may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) node: Arc<str>,
    pub(super) until: Instant,
}

/// Whose token is meant, and in which state of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    state: u64,
    user: u32,
    token: [u8; token::LENGTH],
}

impl Asked {
    /// The node that this thread was told.
    fn find(&self, now: Instant) -> Option<Arc<str>> {
        ANSWERS.with_borrow(|answers| {
            let held = answers.held.get(self)?;
            (now < held.until).then(|| Arc::clone(&held.node))
        })
    }

    /// Keeps what the store said.
    fn keep(self, held: &Held, now: Instant) {
        let until = held.until.min(now + BRIEF);
        if now < until {
            ANSWERS.with_borrow_mut(|answers| answers.keep(self, &held.node, until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8; token::LENGTH] = b"AAAAAAAAAAAAAAAAAAAAAA";

    const NODE: &str = "a";

    /// Whether this thread was told of a token; if not, it is now.
    fn was_told(state: &State, user: u32, token: &[u8], now: Instant, until: Instant) -> bool {
        let mut told = false;
        let node = NODE.into();
        let found = state.recall(user, token, now, || told = true, || Now::Known(Some(Held { node, until })));
        assert_eq!(found, Now::Known(Some(NODE.into())));
        told
    }

    #[test]
    fn an_answer_is_that_of_one_token_of_one_user_in_one_state() {
        let (state, now) = (State::default(), Instant::now());
        let hour = now + Duration::from_secs(3600);
        let other = b"AAAAAAAAAAAAAAAAAAAAAQ";
        for (user, token) in [(1, TOKEN), (2, TOKEN), (1, other)] {
            assert!(!was_told(&state, user, token, now, hour));
            assert!(was_told(&state, user, token, now, hour));
        }
        assert!(!was_told(&State::default(), 1, other, now, hour));
        assert!(was_told(&state, 1, other, now, hour));
        state.change();
        assert!(!was_told(&state, 1, other, now, hour));
    }

    #[test]
    fn an_answer_holds_for_a_moment_and_never_longer_than_it_was_said_to() {
        let (state, now, ms) = (State::default(), Instant::now(), Duration::from_millis(1));
        assert!(!was_told(&state, 1, TOKEN, now, now + 5 * ms));
        assert!(was_told(&state, 1, TOKEN, now + 4 * ms, now));
        assert!(!was_told(&state, 1, TOKEN, now + 5 * ms, now + 2 * BRIEF));
        assert!(was_told(&state, 1, TOKEN, now + 4 * ms + BRIEF, now));
        assert!(!was_told(&state, 1, TOKEN, now + 5 * ms + BRIEF, now));
    }

    #[test]
    fn what_is_not_known_or_no_token_is_not_kept() {
        let (state, now) = (State::default(), Instant::now());
        let never = || unreachable!("nobody was told");
        for said in [Now::Known(None), Now::Ask] {
            let found = state.recall(1, TOKEN, now, never, || said.clone());
            assert_eq!(matches!(found, Now::Ask), matches!(said, Now::Ask));
        }
        let look = || unreachable!("it is no token");
        assert_eq!(state.recall(1, b"short", now, never, look), Now::Known(None));
    }

    #[test]
    fn a_thread_keeps_no_more_than_its_share() {
        let (state, now) = (State::default(), Instant::now());
        let hour = now + Duration::from_secs(3600);
        let tokens: Vec<String> =
            (0..=MOST).map(|_| token::text(token::mint().expect("there is randomness"))).collect();
        for token in &tokens {
            assert!(!was_told(&state, 1, token.as_bytes(), now, hour));
        }
        let kept = ANSWERS.with_borrow(|answers| answers.held.len());
        assert!((1..=MOST).contains(&kept), "{kept}");
        assert!(was_told(&state, 1, tokens[MOST].as_bytes(), now, hour));
        assert!(!was_told(&state, 1, tokens[0].as_bytes(), now, hour));
    }
}
