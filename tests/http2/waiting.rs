//! Streams whose plugins wait for a store: each waits by itself.

use crate::support::http2::{Http2Client, Http2Response, converse};
use crate::support::{TestGateway, TestNode};
use futures_util::future::join_all;
use http::Request;
use test_servers::Redis;

/// More than a busy machine ever needs to answer.
const PATIENT: &str = "20s";
const MANY: usize = 30;

/// What both have in common: where the store is.
fn store(redis: &Redis) -> String {
    format!("[redis]\nservers = [\"{}\"]\ntimeout = \"{PATIENT}\"\n", redis.url())
}

/// Clients stay with their nodes by sessions in this store, but for those below /plain.
fn sticky(redis: &Redis) -> String {
    format!(
        "{}[sessions]\nstore = \"redis\"\nnear_cache = \"1ms\"\n\
         [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\npolicy = [\"sticky-session\", \"round-robin\"]\n\
         [route.plain]\npath = \"/plain\"\npool = \"plain\"\n[pool.plain]\nnodes = [{{nodes}}]\n",
        store(redis)
    )
}

/// So many requests at once, on one connection; what each has as its cookie.
async fn ask(client: &Http2Client, cookies: &[String]) -> Vec<Http2Response> {
    let requests = cookies.iter().map(|cookie| {
        let mut client = client.clone();
        async move {
            let request = Request::get("http://a.test/").header("cookie", cookie);
            let (response, _) = client.begin(request, true).await.unwrap();
            response.whole().await.unwrap()
        }
    });
    join_all(requests).await
}

fn cookie(response: &Http2Response) -> String {
    let set = response.fields["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn sessions_in_redis_hold_for_many_streams_at_once() {
    let Some(redis) = Redis::start() else { return };
    let nodes: Vec<_> = (0..5).map(|index| TestNode::answering(format!("node-{index}"))).collect();
    let gateway = TestGateway::with(&sticky(&redis), &nodes.iter().collect::<Vec<_>>());
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let first = ask(&client, &vec![String::new(); MANY]).await;
        let cookies: Vec<_> = first.iter().map(cookie).collect();
        for _ in 0..3 {
            let again = ask(&client, &cookies).await;
            for (first, again) in first.iter().zip(&again) {
                assert_eq!((again.status, again.text()), (200, first.text()));
            }
        }
    });
    assert_eq!(gateway.plugin_row("sticky-session")["lane"], "waiting");
}

#[test]
fn an_allowance_in_redis_is_never_given_twice() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("fine");
    let text = format!(
        "{}[plugin.limit]\nfile = \"rate_limit.wasm\"\ngrants = [\"shared\"]\nshared = \"cluster\"\n\
         config = {{ rate = \"10/h\", by = \"all\" }}\n\
         [route.all]\nfilters = [\"limit\"]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n",
        store(&redis)
    );
    let gateway = TestGateway::with(&text, &[&node]);
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let answers = ask(&client, &vec![String::new(); MANY]).await;
        let with = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((with(200), with(429)), (10, MANY - 10));
    });
    assert_eq!(node.hits(), 10);
}

#[test]
fn streams_that_wait_for_a_store_that_hangs_hold_up_no_other() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("fine");
    let gateway = TestGateway::with(&sticky(&redis), &[&node]);
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let first = ask(&client, &vec![String::new(); MANY]).await;
        let cookies: Vec<_> = first.iter().map(cookie).collect();
        let served = node.hits();
        redis.freeze();
        let mut other = client.clone();
        let others = async {
            for _ in 0..10 {
                assert_eq!(other.get("/plain").await.unwrap().text(), "fine");
            }
            assert_eq!(node.hits(), served + 10, "those that wait are not served yet");
            redis.thaw();
        };
        let (waited, ()) = tokio::join!(ask(&client, &cookies), others);
        assert!(waited.iter().all(|answer| answer.status == 200 && answer.text() == "fine"));
        assert_eq!(node.hits(), served + 10 + MANY);
    });
    let late = [("asked", "session_get"), ("outcome", "late")];
    assert_eq!(gateway.metric("bascule_redis_questions_total", &late), 0.0, "each waited for its answer");
}
