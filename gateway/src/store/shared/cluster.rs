//! Values in the Redis that all gateways share.
//!
//! Keys and values are bounded; how much a use keeps in all is not, since no gateway knows what others wrote: that is for
//! Redis' `maxmemory`. Everything has a life, so nothing stays for good.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{Script, Value, cmd};

use super::pace::Pace;
use super::{LONGEST_KEY, LONGEST_LIFE};
use crate::store::StoreError;
use crate::store::redis::stats::Asked;
use crate::store::redis::{Question, Redis};

/// The longest value, in bytes. Chosen: what a gateway may ask for on a request without delaying everybody else's.
const LONGEST_VALUE: usize = 64 * 1024;

/// Adds: the number, and the life if there is none yet. Answers the sum as text (numbers of scripts are doubles), or nothing if
/// what is there is no number or the sum none of 64 bits.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
        if type(sum) == 'table' and sum.err then
            if sum.err:find('integer') or sum.err:find('overflow') or sum.err:find('WRONGTYPE') then
                return false
            end
            return sum
        end
        local text = redis.call('GET', KEYS[1])
        if redis.call('PTTL', KEYS[1]) == -1 then
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
        end
        return text
        ",
    )
});

/// Throttles as [`super::pace`] does, by Redis' own clock: what this costs, and how long an allowance takes to fill, in
/// microseconds.
static THROTTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
        local after = full_at + tonumber(ARGV[1])
        local missing = after - now - tonumber(ARGV[2])
        if missing > 0 then
            return missing
        end
        if after > now then
            redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
        end
        return 0
        ",
    )
});

/// The values of one use.
#[derive(Debug)]
pub struct Cluster {
    redis: Arc<Redis>,
    name: Arc<str>,
}

impl Cluster {
    pub(super) fn new(redis: Arc<Redis>, name: Arc<str>) -> Cluster {
        Cluster { redis, name }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = cmd("GET");
        get.arg(self.key("v", key)?);
        match self.redis.ask(Asked::SharedGet, Question::command(get)).await? {
            Value::BulkString(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    pub(super) async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<(), StoreError> {
        if value.len() > LONGEST_VALUE {
            return Err(StoreError::Refused);
        }
        let life = millis(life);
        if life == 0 {
            return self.delete(key).await;
        }
        let mut set = cmd("SET");
        set.arg(self.key("v", key)?).arg(value).arg("PX").arg(life);
        self.redis.ask(Asked::SharedSet, Question::command(set)).await.map(drop)
    }

    pub(super) async fn add(&self, key: &str, delta: i64, life: Duration) -> Result<i64, StoreError> {
        let arguments = vec![delta.to_string().into(), millis(life).to_string().into()];
        let question = Question::script(&ADD, self.key("v", key)?, arguments);
        match self.redis.ask(Asked::SharedAdd, question).await? {
            Value::BulkString(sum) => {
                let sum = std::str::from_utf8(&sum).ok().and_then(|sum| sum.parse().ok());
                sum.ok_or(StoreError::Refused)
            }
            _ => Err(StoreError::Refused),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let mut delete = cmd("DEL");
        delete.arg(self.key("v", key)?);
        self.redis.ask(Asked::SharedDelete, Question::command(delete)).await.map(drop)
    }

    pub(super) async fn throttle(&self, key: &str, pace: Pace, cost: u32) -> Result<u64, StoreError> {
        let (costs, full) = pace.costs(cost)?;
        let arguments = vec![costs.to_string().into(), full.to_string().into()];
        let question = Question::script(&THROTTLE, self.key("t", key)?, arguments);
        match self.redis.ask(Asked::Throttle, question).await? {
            Value::Int(missing) => Ok(missing.try_into().unwrap_or(0)),
            _ => Err(StoreError::Unavailable),
        }
    }

    /// Redis' key: of a value ("v") or of an allowance ("t").
    fn key(&self, kind: &str, key: &str) -> Result<String, StoreError> {
        if key.len() > LONGEST_KEY {
            return Err(StoreError::Refused);
        }
        Ok(format!("{}{kind}:{}:{key}", self.redis.prefix(), self.name))
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(LONGEST_LIFE).as_millis()).unwrap_or(u64::MAX)
}
