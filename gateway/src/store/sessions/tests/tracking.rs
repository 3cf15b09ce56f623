//! Client-side caching (RESP3, `CLIENT TRACKING`), measured beside the near cache: the figures of decision 36.
//! `cargo test -p bascule --lib -- --ignored --nocapture what_tracking_costs`

use std::num::NonZeroUsize;

use redis::aio::MultiplexedConnection;
use redis::caching::CacheConfig;
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, pipe,
};
use test_servers::Redis as Server;

use super::shared_redis::{cpu, info};
use super::*;

const KEYS: usize = 10_000;
const GATEWAYS: usize = 4;

async fn connection(server: &Server, tracks: bool) -> MultiplexedConnection {
    let login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let info = server.url().into_connection_info().unwrap().set_redis_settings(login);
    let mut config = AsyncConnectionConfig::new();
    if tracks {
        let size = NonZeroUsize::new(2 * KEYS).unwrap();
        config = config.set_cache_config(CacheConfig::new().set_size(size));
    }
    let client = Client::open(info).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

fn key(number: usize) -> String {
    format!("bascule:s:sticky:{number:022}")
}

/// Redis' CPU microseconds for each key, where something is done with all of them one after the other.
async fn each(server: &Server, mut act: impl AsyncFnMut(String)) -> f64 {
    let before = cpu(server);
    for number in 0..KEYS {
        act(key(number)).await;
    }
    (cpu(server) - before) * 1e6 / KEYS as f64
}

async fn rewrite(server: &Server, writer: &mut MultiplexedConnection, node: &str) -> f64 {
    each(server, async |key| writer.pset_ex(key, node, 3_600_000).await.unwrap()).await
}

/// How long after a write was acknowledged the old node is still told: the median and the longest of 200.
async fn stale(writer: &mut MultiplexedConnection, tracking: &mut MultiplexedConnection) -> [Duration; 2] {
    let mut times = Vec::new();
    for number in 0..200 {
        let _known: String = tracking.get(key(number)).await.unwrap();
        let node = format!("moved-{number}");
        let () = writer.pset_ex(key(number), &node, 3_600_000).await.unwrap();
        let began = Instant::now();
        while tracking.get::<_, String>(key(number)).await.unwrap() != node {
            tokio::task::yield_now().await;
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    [times[100], times[199]]
}

#[tokio::test]
#[ignore = "a measurement"]
async fn what_tracking_costs() {
    const TIMES: u32 = 100_000;
    let Some(server) = Server::start() else { return };
    let mut writer = connection(&server, false).await;
    let untold = rewrite(&server, &mut writer, "node-a").await;
    let question = each(&server, async |key| {
        let mut look = pipe();
        let _: (String, i64) = look.get(&key).pttl(&key).query_async(&mut writer).await.unwrap();
    });
    let question = question.await;

    let memory = || info(&server, "memory", "used_memory:");
    let (before, mut first) = (memory(), Vec::new());
    let mut gateways = Vec::new();
    for _ in 0..GATEWAYS {
        let mut gateway = connection(&server, true).await;
        first.push(each(&server, async |key| drop(gateway.get::<_, String>(key).await.unwrap())).await);
        gateways.push(gateway);
    }
    let table = (memory() - before) / KEYS as f64;
    let began = Instant::now();
    for _ in 0..TIMES {
        let _: String = gateways[0].get(key(1)).await.unwrap();
    }
    let hit = began.elapsed() / TIMES;
    let told = rewrite(&server, &mut writer, "node-b").await;
    let [median, longest] = stale(&mut writer, &mut gateways[0]).await;
    #[expect(clippy::print_stdout, reason = "it is what the measurement is for")]
    {
        println!(
            "Redis computes {question:.1} us for a GET and a PTTL, {:.1} for one that it tracks",
            first[0]
        );
        println!("a write is {untold:.1} us, and {told:.1} if {GATEWAYS} gateways are told of it");
        println!("{GATEWAYS} gateways cost it {table:.0} bytes for each session");
        println!("a hit is {hit:?}; the old node is told for {median:?}, {longest:?} at most");
    }
}
