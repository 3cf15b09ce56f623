//! A Redis cluster: three masters that share the 16,384 slots.

use super::{Redis, Setup};
use crate::Program;
use crate::server::wait_until;

/// Masters without replicas. Each is a [`Redis`] of its own, so that a test may end one of them.
pub struct RedisCluster {
    masters: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three and joins them. None as for [`Redis::start`].
    ///
    /// # Panics
    /// As [`Redis::start`].
    #[track_caller]
    pub fn start() -> Option<RedisCluster> {
        let program = Program::Redis.find_for_test()?;
        // Keys of two thirds are served while one master is gone.
        let lines = "cluster-enabled yes\ncluster-node-timeout 2000\ncluster-require-full-coverage no\n";
        let start = || Redis::launch(&program, &Setup { lines: lines.to_owned(), ..Setup::default() });
        let masters = vec![start(), start(), start()];
        for (master, slots) in masters.iter().zip([(0, 5460), (5461, 10_922), (10_923, 16_383)]) {
            let (first, last) = (slots.0.to_string(), slots.1.to_string());
            assert_eq!(master.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]), "OK");
            let port = masters[0].address().port().to_string();
            assert_eq!(master.ask(&["CLUSTER", "MEET", "127.0.0.1", &port]), "OK");
        }
        let joined = |master: &Redis| {
            let info = master.ask(&["CLUSTER", "INFO"]);
            ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_size:3"]
                .iter()
                .all(|line| info.contains(line))
        };
        wait_until("the Redis cluster is joined", || masters.iter().all(joined));
        Some(RedisCluster { masters })
    }

    /// All of them.
    pub fn masters(&self) -> &[Redis] {
        &self.masters
    }

    /// Their URLs.
    pub fn urls(&self) -> Vec<String> {
        self.masters.iter().map(Redis::url).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_master() {
        let Some(cluster) = RedisCluster::start() else { return };
        let answers: Vec<_> =
            cluster.masters().iter().map(|master| master.ask(&["SET", "key", "1"])).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "OK").count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("MOVED")).count(), 2, "{answers:?}");
    }
}
