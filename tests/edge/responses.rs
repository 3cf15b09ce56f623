//! Hostile nodes: their responses are held to the rules that requests are held to, and what breaks them is a 502.

use std::sync::{Arc, Mutex};

use super::cases::{Case, read, text};
use crate::support::{Response, TestGateway, TestNode};

const TABLE: &str = include_str!("corpus/responses.txt");

/// One node that says what it is told, and never has a connection's next request answered by what stood behind that.
struct Hostile {
    gateway: TestGateway,
    node: TestNode,
    says: Arc<Mutex<Vec<u8>>>,
}

impl Hostile {
    fn open() -> Hostile {
        let says = Arc::<Mutex<Vec<u8>>>::default();
        let told = Arc::clone(&says);
        let node = TestNode::scripted(move |connection| {
            while let Some(request) = connection.read_request() {
                match request.path() {
                    "/honest" => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"),
                    _ => {
                        let says = told.lock().unwrap().clone();
                        connection.send(says)
                    }
                };
            }
        });
        let pool =
            "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\nattempts = 1\noutlier = \"off\"";
        Hostile { gateway: TestGateway::with(pool, &[&node]), node, says }
    }

    fn play(&self, case: &Case) -> Result<(), String> {
        self.says.lock().unwrap().clone_from(&case.raw);
        let mut client = self.gateway.client();
        let response = client.get("/hostile");
        let is_right = match case.must {
            "502" => {
                response.status == 502 && !response.text().contains("hello") && response.header("x").is_none()
            }
            "cut" => !response.body.complete || response.status == 502,
            _ => is_as_expected(&response, &case.expected),
        };
        if !is_right {
            return Err(format!("the client got {response:?}"));
        }
        match self.gateway.get("/honest").text().as_str() {
            "honest" => Ok(()),
            other => Err(format!("the next answer was {other:?}")),
        }
    }
}

/// Its status, its body, `-name` (no such field) and `+name`.
fn is_as_expected(response: &Response, expected: &[String]) -> bool {
    let [status, body, fields @ ..] = expected else { return false };
    let field = |expected: &String| {
        let (kind, name) = expected.split_at(1);
        response.header(name).is_some() == (kind == "+")
    };
    response.status.to_string() == *status
        && response.text() == body.trim()
        && response.body.complete
        && response.body.trailers.is_empty()
        && fields.iter().all(field)
}

#[test]
fn a_hostile_response_is_a_502_or_means_what_it_says_and_is_never_the_next_answer() {
    let cases = read(TABLE);
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let hostile = Hostile::open();
    let play = |case: &Case| {
        let why = hostile.play(case).err()?;
        Some(format!("{} | {} | {:.200}: {why}", case.must, case.name, text(&case.raw)))
    };
    let wrong: Vec<String> = cases.iter().filter_map(play).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(hostile.node.connections() > 1, "a connection that saw such a response is not used again");
}
