//! Leases in Redis: which nodes are registered with any of the gateways that share it, and until when.
//!
//! Each pool is one hash, so that all of it is in one place of a cluster and one script changes it at once. A field is a
//! node, with the deadline by Redis' own clock; what is over is taken out by whoever looks next. The hash itself ends
//! with its last lease, so that nothing is left behind when all gateways are gone. Two further fields: `.epoch` is drawn when
//! the hash is made, so a Redis that lost its memory is known; `.version` counts changes of the set, not renewals. What a node
//! says of itself is a text here.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, Value, cmd};

use super::StoreError;
use super::redis::stats::Asked;
use super::redis::{Question, Redis};

/// Arguments: node, text, length of its lease in milliseconds, how many nodes there may be, an epoch.
static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local field, text, ttl = ':' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
        local before = redis.call('HGET', KEYS[1], field)
        local known
        if before then
            local finish, rest = string.match(before, '^(%d+) %d+ (.*)$')
            if tonumber(finish) > now then known = rest end
        end
        if not before and redis.call('HLEN', KEYS[1]) - 2 >= tonumber(ARGV[4]) then
            return 'full'
        end
        redis.call('HSETNX', KEYS[1], '.epoch', ARGV[5])
        redis.call('HSET', KEYS[1], field, string.format('%.0f %.0f %s', now + ttl, ttl, text))
        if known ~= text then
            redis.call('HINCRBY', KEYS[1], '.version', 1)
        end
        if redis.call('PTTL', KEYS[1]) < ttl then
            redis.call('PEXPIRE', KEYS[1], ttl)
        end
        if not known then return 'new' end
        return known == text and 'renewed' or 'different'
        ",
    )
});

/// Argument: node.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local was = redis.call('HDEL', KEYS[1], ':' .. ARGV[1])
        if was == 1 then redis.call('HINCRBY', KEYS[1], '.version', 1) end
        return was
        ",
    )
});

/// Takes out what is over; answers epoch, version, and for each lease its node, length, what is left of it, and text.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local epoch, version, rows = '', '0', {}
        local all = redis.call('HGETALL', KEYS[1])
        for at = 1, #all, 2 do
            local field, value = all[at], all[at + 1]
            if field == '.epoch' then
                epoch = value
            elseif field == '.version' then
                version = value
            else
                local finish, ttl, text = string.match(value, '^(%d+) (%d+) (.*)$')
                if tonumber(finish) > now then
                    rows[#rows + 1] = { string.sub(field, 2), tonumber(ttl), tonumber(finish) - now, text }
                else
                    redis.call('HDEL', KEYS[1], field)
                end
            end
        end
        return { epoch, tonumber(version), rows }
        ",
    )
});

/// What a registration changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The node was not there.
    New,
    /// It says something else of itself.
    Different,
    /// Nothing but its deadline.
    Renewed,
    /// There are as many nodes as there may be, so it is not there.
    Full,
}

/// A state of a pool's leases, to be compared with a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Another one says that all before it is forgotten; empty if there is no lease.
    pub epoch: String,
    /// Counts changes.
    pub version: i64,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The node's id.
    pub node: String,
    /// What it says of itself.
    pub text: String,
    /// How long its lease lasts from each renewal.
    pub ttl: Duration,
    /// What is left of it.
    pub left: Duration,
}

/// The leases in a Redis. Copies share it.
#[derive(Clone, Debug)]
pub struct Leases(Arc<Redis>);

impl Leases {
    /// In this Redis.
    pub fn new(redis: Arc<Redis>) -> Leases {
        Leases(redis)
    }

    /// Registers a node or renews its lease, of which there are so many at most.
    ///
    /// # Errors
    /// Redis cannot be asked; nothing is known of what it did then.
    pub async fn put(
        &self,
        pool: &str,
        node: &str,
        text: &str,
        ttl: Duration,
        most: u32,
    ) -> Result<Put, StoreError> {
        let epoch = format!("{:032x}", fastrand::u128(..));
        let numbers = [ttl.as_millis().to_string(), most.to_string()];
        let [ttl, most] = numbers.map(String::into_bytes);
        let arguments = vec![node.into(), text.into(), ttl, most, epoch.into_bytes()];
        match word(&self.ask(&PUT, pool, arguments).await?) {
            Some("new") => Ok(Put::New),
            Some("different") => Ok(Put::Different),
            Some("renewed") => Ok(Put::Renewed),
            Some("full") => Ok(Put::Full),
            _ => Err(StoreError::Unavailable),
        }
    }

    /// Takes a node out; whether it was there.
    ///
    /// # Errors
    /// As [`Leases::put`].
    pub async fn take(&self, pool: &str, node: &str) -> Result<bool, StoreError> {
        Ok(self.ask(&TAKE, pool, vec![node.into()]).await? == Value::Int(1))
    }

    /// What has to be compared to know whether [`Leases::look`] would show something else. A lease that is over does not
    /// change it.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn mark(&self, pool: &str) -> Result<Mark, StoreError> {
        let mut command = cmd("HMGET");
        command.arg(self.key(pool)).arg(".epoch").arg(".version");
        let answer = self.0.ask(Asked::Lease, Question::command(command)).await?;
        let read: Result<(Option<String>, Option<i64>), _> = redis::from_redis_value(answer);
        let (epoch, version) = read.map_err(|_| StoreError::Unavailable)?;
        Ok(Mark { epoch: epoch.unwrap_or_default(), version: version.unwrap_or(0) })
    }

    /// All leases of a pool that are not over.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn look(&self, pool: &str) -> Result<(Mark, Vec<Row>), StoreError> {
        type Answer = (String, i64, Vec<(String, u64, u64, String)>);
        let answer = self.ask(&LOOK, pool, Vec::new()).await?;
        let read: Result<Answer, _> = redis::from_redis_value(answer);
        let (epoch, version, rows) = read.map_err(|_| StoreError::Unavailable)?;
        let row = |(node, ttl, left, text)| {
            let [ttl, left] = [ttl, left].map(Duration::from_millis);
            Row { node, text, ttl, left }
        };
        Ok((Mark { epoch, version }, rows.into_iter().map(row).collect()))
    }

    async fn ask(
        &self,
        script: &'static Script,
        pool: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Value, StoreError> {
        self.0.ask(Asked::Lease, Question::script(script, self.key(pool), arguments)).await
    }

    fn key(&self, pool: &str) -> String {
        format!("{}registry:{pool}", self.0.prefix())
    }
}

fn word(answer: &Value) -> Option<&str> {
    match answer {
        Value::SimpleString(word) => Some(word),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
