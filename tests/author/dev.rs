//! `bascule plugin dev` beside a gateway that runs.

use super::crates::{built, cargo, environment, new};
use crate::support::{TestGateway, TestNode};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A build on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(240);

/// The running command; it is killed when this is dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(folder: &Path, gateway: &TestGateway) -> Dev {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bascule"))
            .current_dir(folder)
            .args(["plugin", "dev", "--gateway-folder"])
            .arg(gateway.plugin_folder())
            .args(["--admin", &gateway.admin_address().to_string()])
            .envs(environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bascule runs");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Dev { child, lines }
    }

    /// The next thing that it says.
    fn says(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it says something")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

#[test]
fn each_save_takes_over_in_a_running_gateway_and_a_mistake_changes_nothing() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = new(parent.path(), "always-first", "balancer");
    cargo(&folder, &["build", "--release", "--target", "wasm32-wasip1"]);
    let first = fs::read(built("always_first")).expect("it was built");
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let text = "[route.all]\npool = \"main\"\n[pool.main]\npolicy = \"always-first\"\nnodes = [{nodes}]";
    let gateway =
        TestGateway::with_files(text, &[&nodes[0], &nodes[1]], &[("always_first.wasm", first.as_slice())]);
    let dev = Dev::start(&folder, &gateway);
    assert!(dev.says().contains("Each save builds"));
    let said = dev.says();
    assert!(said.contains("The gateway runs it as \"always-first\""), "{said}");

    let source = folder.join("src/lib.rs");
    let old = fs::read_to_string(&source).expect("the source");
    let save = |pick: &str| {
        let saved = old.replace("nodes.two_random().min_by(|node| node.load()).into()", pick);
        assert_ne!(saved, old, "the template's policy is what this test replaces");
        fs::write(&source, saved).expect("it is saved");
    };
    save("nodes.get(0).into()");
    let said = dev.says();
    assert!(said.contains("The gateway runs it as \"always-first\""), "{said}");
    let mut client = gateway.client();
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!([nodes[0].hits(), nodes[1].hits()], [10, 0], "the saved policy picks");

    save("nodes.get(0).intoo()");
    let said = dev.says();
    assert!(said.contains("does not build"), "{said}");
    save("panic!(\"no\")");
    let said = dev.says();
    assert!(said.contains("The gateway does not take it") && said.contains("always-first"), "{said}");
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!([nodes[0].hits(), nodes[1].hits()], [20, 0], "what ran before stays");
}
