//! Clients with cookies: each comes once without one, and is asked later whether it meets the node that it met first.

use crate::client::{Answer, Connection};
use anyhow::{Context, Result, ensure};
use std::thread;

/// So many of them ask at once.
const AT_ONCE: usize = 8;

/// A client that was bound to a node.
pub(super) struct Visitor {
    pub(super) cookie: String,
    node: String,
}

/// What became of the visits of all of them.
#[derive(Debug, Default)]
pub(super) struct Visits {
    pub(super) asked: usize,
    /// Those that met the node that they met first.
    pub(super) stayed: usize,
    /// Those that were not answered with 200, and why the first was not.
    pub(super) failed: usize,
    pub(super) trouble: Option<String>,
}

impl Visits {
    fn join(self, other: Visits) -> Visits {
        Visits {
            asked: self.asked + other.asked,
            stayed: self.stayed + other.stayed,
            failed: self.failed + other.failed,
            trouble: self.trouble.or(other.trouble),
        }
    }
}

/// So many clients come for the first time, to these gateways in turn.
///
/// # Errors
/// When one of them is not served, or gets no cookie.
pub(super) fn come(ports: &[u16], count: usize) -> Result<Vec<Visitor>> {
    let each = |port: u16, count: usize| -> Result<Vec<Visitor>> {
        let mut connection = Connection::open(port)?;
        (0..count).map(|_| first(&mut connection)).collect()
    };
    let each = &each;
    let share = |number: usize| count / AT_ONCE + usize::from(number < count % AT_ONCE);
    let groups: Vec<Result<Vec<Visitor>>> = thread::scope(|scope| {
        let come = |number: usize| scope.spawn(move || each(ports[number % ports.len()], share(number)));
        let threads: Vec<_> = (0..AT_ONCE).map(come).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    Ok(groups.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn first(connection: &mut Connection) -> Result<Visitor> {
    let answer = connection.get("/", &[])?;
    ensure!(answer.status == 200, "a first visit was answered with {}", answer.status);
    let cookie = cookie(&answer).context("a first answer sets no cookie")?;
    Ok(Visitor { cookie, node: node(&answer).context("the answer does not tell its node")?.to_owned() })
}

pub(super) fn cookie(answer: &Answer) -> Option<String> {
    Some(answer.header("set-cookie")?.split(';').next()?.to_owned())
}

fn node(answer: &Answer) -> Option<&str> {
    answer.header("x-bascule-node")
}

/// All of them ask this gateway. Whoever gets another cookie keeps it, as browsers do.
pub(super) fn visit(visitors: &mut [Visitor], port: u16) -> Visits {
    let share = visitors.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let visit = |visitors| scope.spawn(move || ask(visitors, port));
        let threads: Vec<_> = visitors.chunks_mut(share).map(visit).collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        all.fold(Visits::default(), Visits::join)
    })
}

fn ask(visitors: &mut [Visitor], port: u16) -> Visits {
    let mut visits = Visits::default();
    let mut connection = None;
    for visitor in visitors {
        visits.asked += 1;
        match again(visitor, &mut connection, port) {
            Ok(stayed) => visits.stayed += usize::from(stayed),
            Err(error) => {
                connection = None;
                visits.failed += 1;
                visits.trouble.get_or_insert(format!("{error:#}"));
            }
        }
    }
    visits
}

/// Whether the client meets its node.
fn again(visitor: &mut Visitor, connection: &mut Option<Connection>, port: u16) -> Result<bool> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(port)?),
    };
    let answer = open.get("/", &[("Cookie", &visitor.cookie)])?;
    ensure!(answer.status == 200, "answered with {}", answer.status);
    let stays = node(&answer) == Some(&*visitor.node);
    if let Some(other) = cookie(&answer) {
        visitor.cookie = other;
    }
    Ok(stays)
}
