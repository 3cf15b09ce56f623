//! What becomes of tunnels to nodes of HTTP/2 when the gateway or the node stops, drains, is killed or freezes.

use super::{before, pool};
use crate::support::http2::{Http2Client, converse, until};
use crate::support::websocket::{Socket, WebSocketNode, ask, close, echo, echoes, next, open};
use crate::support::{GatewayProcess, Http2Node, TestClient, TestGateway, wait_until};
use futures_util::{SinkExt, StreamExt};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Takes what still comes until it ends, in whichever way.
async fn until_its_end<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Socket<S>) {
    while let Some(Ok(_)) = socket.next().await {}
}

#[test]
fn a_gateway_that_stops_waits_for_it() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "");
    converse(async {
        let admin = gateway.admin_address();
        let mut client: Socket = open(gateway.address()).await;
        let stopping = std::thread::spawn(move || gateway.stop());
        until("it stops", || TestClient::connect(admin).get("/readyz").status == 503).await;
        echoes(&mut client, "still here").await;
        client.close(Some(close(1000, ""))).await.unwrap();
        until_its_end(client).await;
        until("it stopped", || stopping.is_finished()).await;
        stopping.join().unwrap();
    });
}

#[test]
fn a_gateway_that_stops_does_not_wait_for_ever() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "[gateway]\nworkers = 1\ndrain_timeout = \"300ms\"");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut alone = open(gateway.address()).await;
        let mut shared = connection.open_websocket().await;
        echoes(&mut alone, "hello").await;
        echoes(&mut shared, "hello").await;
        let stopping = std::thread::spawn(move || gateway.stop());
        until_its_end(alone).await;
        until_its_end(shared).await;
        until("it stopped", || stopping.is_finished()).await;
        stopping.join().unwrap();
    });
    wait_until("the node is let go", || node.open_connections() == 0);
}

#[test]
fn a_listener_that_goes_lets_its_tunnels_end_and_not_for_ever() {
    let node = Http2Node::talking(echo);
    let main = |listeners: &str| {
        let listener = "[listener.public]\naddress = \"127.0.0.1:0\"\n";
        let gateway = "[gateway]\nworkers = 1\ndrain_timeout = \"300ms\"\n";
        format!("{gateway}{listener}{listeners}{}", pool(&format!("\"{}\"", node.address()), ""))
    };
    let gateway = TestGateway::with(&main("[listener.leaving]\naddress = \"127.0.0.1:0\"\n"), &[]);
    converse(async {
        let mut staying = open(gateway.address()).await;
        let leaving = open(gateway.listener("leaving")).await;
        gateway.rewrite_configuration(&main(""), &[]);
        until_its_end(leaving).await;
        assert!(!gateway.has_listener("leaving"));
        echoes(&mut staying, "the other listener's goes on, on the same connection").await;
    });
    wait_until("it is no tunnel any more", || gateway.of_first_node("tunnels") == 0);
    assert_eq!((node.connections(), gateway.route_errors("tunnel_timeout")), (1, 0.0), "nobody is to blame");
}

#[test]
fn a_node_that_drains_keeps_its_tunnels() {
    let nodes = [(); 2].map(|()| Http2Node::talking(echo));
    let gateway = before(&[&nodes[0], &nodes[1]], "");
    converse(async {
        let mut clients = [open(gateway.address()).await, open(gateway.address()).await];
        let path = format!("/pools/main/nodes/{}/drain", nodes[0].address());
        assert_eq!(gateway.admin_send("POST", &path, "").status, 200);
        let mut newcomer = open(gateway.address()).await;
        for client in clients.iter_mut().chain([&mut newcomer]) {
            echoes(client, "hello").await;
        }
        assert_eq!(nodes.each_ref().map(Http2Node::hits), [1, 2]);
        drop((clients, newcomer));
        until("no tunnel is open", || gateway.metric("bascule_node_tunnels", &[]) == 0.0).await;
    });
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
}

/// A process that speaks HTTP/2 for a node which does not, and a gateway before it.
fn before_process(talker: &WebSocketNode) -> (GatewayProcess, TestGateway) {
    let text = format!("[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{}]\n", talker.quoted());
    let node = GatewayProcess::with(&text, &[]);
    let gateway = TestGateway::with(&pool(&format!("\"{}\"", node.address()), ""), &[]);
    (node, gateway)
}

#[test]
fn a_node_that_is_killed_in_the_middle_ends_all() {
    let talker = WebSocketNode::new();
    let (node, gateway) = before_process(&talker);
    converse(async {
        // Whenever it is killed, bytes are on their way.
        talker.serve(|mut socket: Socket| async move {
            while socket.send(Message::binary(vec![0; 65536])).await.is_ok() {}
        });
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut alone = open(gateway.address()).await;
        let mut shared = connection.open_websocket().await;
        next(&mut alone).await;
        next(&mut shared).await;
        node.signal(Signal::KILL);
        until_its_end(alone).await;
        until_its_end(shared).await;
        until("they are counted", || gateway.route_errors("reset") == 2.0).await;
        assert_eq!((gateway.of_first_node("tunnels"), gateway.of_first_node("in_flight")), (0, 0));
        match ask(gateway.address(), "/", &[]).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 502),
            other => panic!("nobody is there: {other:?}"),
        }
        assert_eq!(gateway.route_errors("connect"), 1.0);
    });
}

/// No end comes from such a node: the gateway finds by its own PINGs that it is dead, after some ten seconds.
#[test]
fn a_node_that_freezes_ends_all() {
    let talker = WebSocketNode::new();
    let (node, gateway) = before_process(&talker);
    converse(async {
        talker.echo();
        let mut client = open(gateway.address()).await;
        echoes(&mut client, "hello").await;
        node.signal(Signal::STOP);
        client.send(Message::text("are you there?")).await.unwrap();
        until_its_end(client).await;
        until("it is counted", || gateway.route_errors("reset") == 1.0).await;
        assert_eq!((gateway.of_first_node("tunnels"), gateway.of_first_node("in_flight")), (0, 0));
    });
}
