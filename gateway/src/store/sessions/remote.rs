//! Sessions in the Redis that all gateways share.
//!
//! Redis' key is a hash of the token, since a token is a secret and keys show in `MONITOR` and in dumps; the value is the node's
//! id, or nothing for a token that was forgotten. So a key that is not there was never bound, has expired, or was lost with
//! Redis' memory, and what a gateway still knows of a session that has not expired is written back.
//! The first who binds a token wins in all gateways: a script compares and sets.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ::redis::{Script, Value, cmd, pipe};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::near::{Known, Near};
use super::{Binding, Held, Key, LONGEST_LIFE, Owner, Wish, fits, token};
use crate::store::redis::stats::Asked;
use crate::store::redis::{Question, Redis};
use crate::store::{Now, StoreError};

/// A session that is about to end is not written back: it may have ended in Redis just now.
const ABOUT_TO_END: Duration = Duration::from_secs(1);

/// Binds a known token: node, life, node that is replaced or "", node that this gateway knows or "", that one's life. Answers
/// the node that won and the rest of its life, or nothing for a token that is not known.
static BIND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local held = redis.call('GET', KEYS[1])
        if not held and ARGV[4] ~= '' then
            held = ARGV[4]
            redis.call('SET', KEYS[1], held, 'PX', ARGV[5])
        end
        if not held or held == '' then
            return false
        end
        if held == ARGV[1] or held == ARGV[3] then
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
            return { ARGV[1], tonumber(ARGV[2]) }
        end
        return { held, redis.call('PTTL', KEYS[1]) }
        ",
    )
});

/// The sessions of all uses.
#[derive(Debug)]
pub(super) struct Remote {
    redis: Arc<Redis>,
    near: Near,
}

/// What Redis says of a token.
enum Said {
    /// It is bound to this node for so long.
    Bound(Arc<str>, Duration),
    /// It was forgotten.
    Forgotten,
    /// Nothing.
    Unknown,
}

impl Remote {
    /// Sessions in this Redis, of which up to `most` are known here, too, and believed for so long.
    pub(super) fn new(redis: Arc<Redis>, most: u64, believed: Duration) -> Remote {
        Remote { redis, near: Near::new(most, believed) }
    }

    /// What is known of the sessions here.
    pub(super) fn near(&self) -> &Near {
        &self.near
    }

    pub(super) fn get_now(&self, user: u32, token: &[u8], now: Instant) -> Now<Option<Held>> {
        let Some(bits) = token::parse(token) else { return Now::Known(None) };
        match self.near.find((user, bits), now) {
            Some(known) if known.is_fresh(now) => {
                self.near.hit();
                Now::Known(Some(Held { node: known.node, until: known.believed.min(known.ends) }))
            }
            Some(known) if self.redis.is_down() => {
                self.near.stale();
                Now::Known(Some(Held { node: known.node, until: now }))
            }
            _ => Now::Ask,
        }
    }

    pub(super) async fn get(
        &self,
        of: &Owner<'_>,
        token: &str,
        now: Instant,
    ) -> Result<Option<Arc<str>>, StoreError> {
        if let Now::Known(held) = self.get_now(of.key, token.as_bytes(), now) {
            return Ok(held.map(|held| held.node));
        }
        let Some(bits) = token::parse(token.as_bytes()) else { return Ok(None) };
        self.near.miss();
        let key = (of.key, bits);
        let known = self.near.find(key, now);
        let held = match (self.look(of, bits).await, &known) {
            (Ok(Said::Unknown), Some(known)) if now + ABOUT_TO_END < known.ends => {
                self.write_back(of, bits, known, now).await
            }
            (held, _) => held,
        };
        match (held, known) {
            (Ok(held), _) => Ok(self.note(key, held, now)),
            (Err(_), Some(known)) => {
                self.near.stale();
                Ok(Some(known.node))
            }
            (Err(why), None) => Err(why),
        }
    }

    pub(super) async fn bind(
        &self,
        of: &Owner<'_>,
        (old, node, life, replaces): Wish<'_>,
        now: Instant,
    ) -> Result<Binding, StoreError> {
        if !fits(node) {
            return Err(StoreError::Refused);
        }
        let life = life.clamp(Duration::from_millis(1), LONGEST_LIFE);
        if let Some(token) = old
            && let Some(bits) = token::parse(token.as_bytes())
            && let Some(node) = self.rebind(of, bits, (node, life), replaces, now).await?
        {
            return Ok(Binding { token: token.to_owned(), node });
        }
        let bits = token::mint()?;
        let node: Arc<str> = node.into();
        let mut set = cmd("SET");
        set.arg(self.key(of, bits)).arg(&*node).arg("NX").arg("PX").arg(millis(life));
        match self.redis.ask(Asked::SessionBind, Question::command(set)).await? {
            Value::Okay => {
                self.near.keep((of.key, bits), &node, life, now);
                Ok(Binding { token: token::text(bits), node })
            }
            // The same 128 random bits twice, or no Redis.
            _ => Err(StoreError::Unavailable),
        }
    }

    pub(super) async fn forget(&self, of: &Owner<'_>, token: &str) -> Result<(), StoreError> {
        let Some(bits) = token::parse(token.as_bytes()) else { return Ok(()) };
        self.near.drop((of.key, bits));
        let mut set = cmd("SET");
        // Other gateways may know it, and would write it back if it were gone.
        set.arg(self.key(of, bits)).arg("").arg("XX").arg("KEEPTTL");
        self.redis.ask(Asked::SessionForget, Question::command(set)).await.map(drop)
    }

    /// The node that wins for a token, if that is known.
    async fn rebind(
        &self,
        of: &Owner<'_>,
        bits: u128,
        (node, life): (&str, Duration),
        replaces: Option<&str>,
        now: Instant,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let key = (of.key, bits);
        let known = self.near.find(key, now);
        let stays = |known: &Known| *known.node == *node || replaces != Some(&*known.node);
        if let Some(known) = &known
            && known.is_fresh(now)
            && stays(known)
            && (*known.node != *node || self.near.is_renewed(known, life, now))
        {
            return Ok(Some(Arc::clone(&known.node)));
        }
        let back = known.as_ref().filter(|known| now + ABOUT_TO_END < known.ends);
        let arguments = vec![
            node.into(),
            millis(life).to_string().into(),
            replaces.unwrap_or_default().into(),
            back.map(|known| known.node.as_bytes().to_vec()).unwrap_or_default(),
            back.map_or(0, |known| millis(known.ends - now)).to_string().into(),
        ];
        let question = Question::script(&BIND, self.key(of, bits), arguments);
        match (self.redis.ask(Asked::SessionBind, question).await, known) {
            (Ok(value), _) => Ok(self.note(key, held(&value), now)),
            // What is known here goes on; only a move has to be everybody's.
            (Err(_), Some(known)) if stays(&known) => Ok(Some(known.node)),
            (Err(why), _) => Err(why),
        }
    }

    /// What Redis holds. Those who ask for the same token at once ask once.
    async fn look(&self, of: &Owner<'_>, bits: u128) -> Result<Said, StoreError> {
        let key = self.key(of, bits);
        let mut look = pipe();
        look.get(&key).pttl(&key);
        let question = Question::commands(look).same_as((of.key, bits));
        self.redis.ask(Asked::SessionGet, question).await.map(|value| held(&value))
    }

    /// Writes what is known here, unless somebody else was faster.
    async fn write_back(
        &self,
        of: &Owner<'_>,
        bits: u128,
        known: &Known,
        now: Instant,
    ) -> Result<Said, StoreError> {
        let key = self.key(of, bits);
        let mut write = pipe();
        write
            .cmd("SET")
            .arg(&key)
            .arg(&*known.node)
            .arg("NX")
            .arg("PX")
            .arg(millis(known.ends - now))
            .ignore();
        write.get(&key).pttl(&key);
        let answer = self.redis.ask(Asked::SessionBind, Question::commands(write)).await?;
        Ok(held(&answer))
    }

    /// Keeps in mind what Redis said.
    fn note(&self, key: Key, held: Said, now: Instant) -> Option<Arc<str>> {
        match held {
            Said::Bound(node, life) => {
                self.near.keep(key, &node, life, now);
                Some(node)
            }
            Said::Forgotten | Said::Unknown => {
                self.near.drop(key);
                None
            }
        }
    }

    fn key(&self, of: &Owner<'_>, bits: u128) -> String {
        let hash = Sha256::digest(bits.to_be_bytes());
        let hash = URL_SAFE_NO_PAD.encode(&hash[..16]);
        format!("{}s:{}:{hash}", self.redis.prefix(), of.name)
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What an answer of a node and the rest of its life says.
fn held(answer: &Value) -> Said {
    let Value::Array(parts) = answer else { return Said::Unknown };
    let [.., Value::BulkString(node), Value::Int(millis)] = &parts[..] else { return Said::Unknown };
    match (std::str::from_utf8(node), u64::try_from(*millis)) {
        (Ok(""), _) => Said::Forgotten,
        (Ok(node), Ok(millis)) => Said::Bound(node.into(), Duration::from_millis(millis)),
        // It ended between the two questions, or somebody else writes here.
        _ => Said::Unknown,
    }
}
