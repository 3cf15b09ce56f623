//! A name server, over UDP and TCP, that knows one service and its targets, which are all on this machine. Its records may be
//! believed for no time, so what is measured is the gateway's doing.

use super::Failing;
use anyhow::{Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

/// Longer answers come over TCP (RFC 1035, 4.2.1).
const LONGEST_OVER_UDP: usize = 512;
/// Types of records (RFC 1035, 3.2.2, and RFC 2782).
const A: u16 = 1;
const SRV: u16 = 33;
/// An answer, with authority, to who wanted recursion (RFC 1035, 4.1.1); then what may be added.
const ANSWER: u16 = 0x8580;
const TRUNCATED: u16 = 0x0200;
const NO_SUCH_NAME: u16 = 3;
/// The name that was asked for, which begins after the head of 12 bytes (RFC 1035, 4.1.4).
const ASKED: u16 = 0xc00c;

/// It stops when this value is dropped.
pub(super) struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    listening: Mutex<Option<Listening>>,
}

/// What it knows.
#[derive(Default)]
struct Zone {
    /// Ports and weights.
    nodes: BTreeMap<String, (u16, u32)>,
    /// A zone is served when it is loaded whole: until these nodes stand in it, there is no such name.
    awaited: BTreeSet<String>,
    is_silent: bool,
}

impl NameServer {
    /// The name of its service.
    pub(super) const SERVICE: &'static str = "_http._tcp.bench.test";

    /// One that knows no node, on a free port.
    pub(super) fn start() -> Result<NameServer> {
        let zone = Arc::<Mutex<Zone>>::default();
        for _ in 0..50 {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            // A port that is free for TCP is mostly free for UDP, too.
            if let Ok((address, listening)) = Listening::on(any, &zone) {
                return Ok(NameServer { address, zone, listening: Mutex::new(Some(listening)) });
            }
        }
        bail!("no port is free for UDP and TCP")
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The target of a node's record.
    pub(super) fn target(id: &str) -> String {
        format!("{id}.bench.test")
    }

    pub(super) fn put(&self, id: &str, port: u16, weight: u32) {
        let mut zone = self.zone();
        zone.awaited.remove(id);
        zone.nodes.insert(id.to_owned(), (port, weight));
    }

    /// Whether it was there.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.zone().nodes.remove(id).is_some()
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        lock(&self.zone)
    }
}

impl Failing for NameServer {
    fn kill(&self) {
        drop(lock(&self.listening).take());
    }

    fn restart(&self) {
        self.kill();
        let (_, listening) = Listening::on(self.address, &self.zone).expect("its own port is free again");
        *lock(&self.listening) = Some(listening);
    }

    fn freeze(&self) {
        self.zone().is_silent = true;
    }

    fn thaw(&self) {
        self.zone().is_silent = false;
    }

    fn restart_empty(&self) {
        let mut zone = self.zone();
        zone.awaited = std::mem::take(&mut zone.nodes).into_keys().collect();
        drop(zone);
        self.restart();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its sockets, and the thread that serves them until this is dropped.
struct Listening {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    fn on(address: SocketAddr, zone: &Arc<Mutex<Zone>>) -> Result<(SocketAddr, Listening)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tcp, udp) = runtime.block_on(async {
            let tcp = TcpListener::bind(address).await?;
            let udp = UdpSocket::bind(tcp.local_addr()?).await?;
            anyhow::Ok((tcp, udp))
        })?;
        let address = tcp.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let zone = Arc::clone(zone);
        let serve = async move {
            tokio::select! { () = serve_udp(udp, &zone) => {}, () = serve_tcp(tcp, &zone) => {}, _ = stopped => {} }
        };
        let thread = thread::spawn(move || runtime.block_on(serve));
        Ok((address, Listening { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the gateway has noticed.
            let _ = thread.join();
        }
    }
}

async fn serve_udp(socket: UdpSocket, zone: &Mutex<Zone>) {
    let mut buffer = [0; 4096];
    loop {
        // A datagram of before that nobody wanted shows as an error here (RFC 1122, 4.1.3.3).
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let answer = lock(zone).answer(&buffer[..length], LONGEST_OVER_UDP);
        if let Some(answer) = answer {
            let _gone = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: &Arc<Mutex<Zone>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(zone)));
    }
}

/// Messages with their length in two bytes before them (RFC 1035, 4.2.2).
async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) -> std::io::Result<()> {
    loop {
        let mut query = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut query).await?;
        let answer = lock(&zone).answer(&query, usize::from(u16::MAX));
        if let Some(answer) = answer {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
        }
    }
}

impl Zone {
    /// The answer to a question, unless it is none, or nobody answers.
    fn answer(&self, query: &[u8], most: usize) -> Option<Vec<u8>> {
        if self.is_silent {
            return None;
        }
        let (name, end) = question(query)?;
        let of = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
        let records = self.records(&name, of);
        let write = |flags: u16, records: &[Vec<u8>]| {
            let mut answer = query[..2].to_vec();
            let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
            [flags, 1, count, 0, 0].iter().for_each(|number| answer.extend(number.to_be_bytes()));
            answer.extend(&query[12..end + 4]);
            answer.extend(records.iter().flatten());
            answer
        };
        let answer = match &records {
            None => write(ANSWER | NO_SUCH_NAME, &[]),
            Some(records) => write(ANSWER, records),
        };
        Some(if answer.len() > most { write(ANSWER | TRUNCATED, &[]) } else { answer })
    }

    /// The records of a name; none if there is no such name.
    fn records(&self, name: &str, of: u16) -> Option<Vec<Vec<u8>>> {
        let record = |data: &[u8]| {
            let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
            let mut record = [ASKED, of, 1, 0, 0, length].map(u16::to_be_bytes).concat();
            record.extend(data);
            record
        };
        if name != NameServer::SERVICE {
            let id = name.strip_suffix(".bench.test")?;
            self.nodes.get(id)?;
            let is_address = of == A;
            return Some(is_address.then(|| record(&Ipv4Addr::LOCALHOST.octets())).into_iter().collect());
        }
        if self.nodes.is_empty() || !self.awaited.is_empty() {
            return None;
        }
        let service = |(id, (port, weight)): (&String, &(u16, u32))| {
            let weight = u16::try_from(*weight).unwrap_or(u16::MAX);
            let mut data = [0, weight, *port].map(u16::to_be_bytes).concat();
            data.extend(encoded(&NameServer::target(id)));
            record(&data)
        };
        let services = self.nodes.iter().filter(|_| of == SRV);
        Some(services.map(service).collect())
    }
}

/// The name that is asked for, in lowercase, and where it ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            let is_whole = query.len() >= at + 4;
            return is_whole.then(|| (labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap_or(63)], label.as_bytes()].concat();
    name.split('.').flat_map(label).chain([0]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn query(name: &str, of: u16) -> Vec<u8> {
        let head = [7, 0x0100, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
        [head, encoded(name), [of, 1].map(u16::to_be_bytes).concat()].concat()
    }

    fn zone(ids: &[&str]) -> Zone {
        let nodes = ids.iter().map(|id| ((*id).to_owned(), (80, 3))).collect();
        Zone { nodes, ..Zone::default() }
    }

    #[test]
    fn a_service_is_told_by_name_weight_and_port() {
        let asked = query(NameServer::SERVICE, SRV);
        let answer = zone(&["n1"]).answer(&asked, 512).unwrap();
        assert_eq!(answer[..12], [0, 7, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        let record = &answer[asked.len()..];
        assert_eq!(record[..12], [0xc0, 0x0c, 0, 33, 0, 1, 0, 0, 0, 0, 0, 21]);
        assert_eq!(record[12..], [&[0, 0, 0, 3, 0, 80, 2][..], b"n1\x05bench\x04test\0"].concat());
        let address = zone(&["n1"]).answer(&query("N1.bench.test", A), 512).unwrap();
        assert!(address.ends_with(&[0, 4, 127, 0, 0, 1]));
    }

    #[test]
    fn what_is_not_known_too_long_or_not_whole_is_said() {
        let flags = |zone: &Zone, name: &str| zone.answer(&query(name, SRV), 80).unwrap()[2..4].to_vec();
        assert_eq!(flags(&zone(&[]), NameServer::SERVICE), [0x85, 0x83]);
        assert_eq!(flags(&zone(&["n1"]), "n2.bench.test"), [0x85, 0x83]);
        assert_eq!(flags(&zone(&["n1", "n2", "n3"]), NameServer::SERVICE), [0x87, 0x80]);
        let half = Zone { awaited: ["n2".to_owned()].into(), ..zone(&["n1"]) };
        assert_eq!(flags(&half, NameServer::SERVICE), [0x85, 0x83]);
        for none in [&[][..], &query("n1.bench.test", A)[..20]] {
            assert_eq!(zone(&["n1"]).answer(none, 512), None);
        }
    }
}
