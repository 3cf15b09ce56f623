//! A master and its replica, watched by three Sentinels.

use super::{Redis, Setup};
use crate::Program;
use crate::server::wait_until;

/// The name of the master among the Sentinels.
const MASTER: &str = "mymaster";

/// When the master is gone for half a second, the Sentinels make the replica the master.
pub struct RedisSentinel {
    servers: [Redis; 2],
    sentinels: Vec<Redis>,
}

impl RedisSentinel {
    /// Starts all five, and waits until the Sentinels know each other and the replica. None as for [`Redis::start`].
    ///
    /// # Panics
    /// As [`Redis::start`].
    #[track_caller]
    pub fn start() -> Option<RedisSentinel> {
        let program = Program::Redis.find_for_test()?;
        let master = Redis::launch(&program, &Setup::default());
        let port = master.address().port();
        let lines = format!("replicaof 127.0.0.1 {port}\nrepl-diskless-sync-delay 0\n");
        let replica = Redis::launch(&program, &Setup { lines, ..Setup::default() });
        let lines = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {MASTER} 500\n\
             sentinel failover-timeout {MASTER} 3000\n"
        );
        let sentinel =
            || Redis::launch(&program, &Setup { lines: lines.clone(), sentinel: true, ..Setup::default() });
        let sentinels = vec![sentinel(), sentinel(), sentinel()];
        let replica_port = replica.address().port().to_string();
        let ready = |sentinel: &Redis| {
            let lines = |what| sentinel.ask(&["SENTINEL", what, MASTER]);
            lines("REPLICAS").lines().any(|line| line == replica_port)
                && lines("SENTINELS").lines().filter(|line| *line == "name").count() == 2
        };
        wait_until("the replica follows", || {
            replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
        });
        wait_until("the Sentinels know all", || sentinels.iter().all(ready));
        Some(RedisSentinel { servers: [master, replica], sentinels })
    }

    /// The name under which Sentinels know the master.
    pub fn master_name(&self) -> &'static str {
        MASTER
    }

    /// The server that is the master at the start.
    pub fn first_master(&self) -> &Redis {
        &self.servers[0]
    }

    /// The other one.
    pub fn first_replica(&self) -> &Redis {
        &self.servers[1]
    }

    /// The Sentinels.
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// The Sentinels' URLs.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Redis::url).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_takes_over_with_the_data() {
        let Some(group) = RedisSentinel::start() else { return };
        assert_eq!(group.first_master().ask(&["SET", "key", "value"]), "OK");
        let replica = group.first_replica();
        wait_until("the value has reached the replica", || replica.ask(&["GET", "key"]) == "value");
        group.first_master().kill();
        wait_until("the replica is the master", || replica.ask(&["ROLE"]).starts_with("master"));
        assert_eq!(replica.ask(&["SET", "key", "new"]), "OK");
    }
}
