//! A name server whose records and moods are the test's, over UDP and TCP on a port of its own.

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;

/// Longer answers come over TCP (RFC 1035, 4.2.1).
const LONGEST_OVER_UDP: usize = 512;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// Not at all.
    Silent,
    /// With bytes that are no message.
    Garbled,
    /// That it failed (SERVFAIL).
    Failing,
    /// Over UDP, that the answer is too long; over TCP well.
    Truncating,
}

/// A name server. It stops when this value is dropped.
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    runtime: Option<Runtime>,
}

struct Zone {
    mood: Mood,
    records: BTreeMap<(String, RecordType), Vec<RData>>,
    over_tcp: usize,
}

impl NameServer {
    /// One that is well and knows no name.
    pub fn start() -> NameServer {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (udp, tcp) = runtime.block_on(sockets());
        let address = tcp.local_addr().expect("it is bound");
        let zone = Zone { mood: Mood::Well, records: BTreeMap::new(), over_tcp: 0 };
        let zone = Arc::new(Mutex::new(zone));
        runtime.spawn(serve_udp(udp, Arc::clone(&zone)));
        runtime.spawn(serve_tcp(tcp, Arc::clone(&zone)));
        NameServer { address, zone, runtime: Some(runtime) }
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name has these IPv4 addresses.
    pub fn addresses(&self, name: &str, addresses: &[IpAddr]) {
        let record = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => RData::A((*ip).into()),
            IpAddr::V6(ip) => RData::AAAA((*ip).into()),
        };
        self.put(name, RecordType::A, addresses.iter().map(record).collect());
    }

    /// From now on a name has these services: priority, weight, port and target.
    pub fn services(&self, name: &str, services: &[(u16, u16, u16, &str)]) {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            RData::SRV(SRV::new(*priority, *weight, *port, full(target)))
        };
        self.put(name, RecordType::SRV, services.iter().map(record).collect());
    }

    fn put(&self, name: &str, of: RecordType, records: Vec<RData>) {
        self.zone.lock().unwrap().records.insert((full(name).to_ascii(), of), records);
    }

    /// From now on it does not know a name.
    pub fn forget(&self, name: &str) {
        self.zone.lock().unwrap().records.retain(|(known, _), _| *known != full(name).to_ascii());
    }

    /// From now on it answers like this.
    pub fn be(&self, mood: Mood) {
        self.zone.lock().unwrap().mood = mood;
    }

    /// How often it was asked over TCP.
    pub fn asked_over_tcp(&self) -> usize {
        self.zone.lock().unwrap().over_tcp
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.runtime.take().expect("it is taken once").shutdown_background();
    }
}

fn full(name: &str) -> Name {
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    name
}

/// Both on one port, which has to be free for both.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("it is bound")).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answer(&buffer[..length], &zone, false) {
            let _gone = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(&zone)));
    }
}

/// Messages with their length in two bytes before them (RFC 1035, 4.2.2).
async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) -> std::io::Result<()> {
    loop {
        let mut query = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut query).await?;
        zone.lock().unwrap().over_tcp += 1;
        if let Some(answer) = answer(&query, &zone, true) {
            stream.write_u16(answer.len() as u16).await?;
            stream.write_all(&answer).await?;
        }
    }
}

fn answer(query: &[u8], zone: &Mutex<Zone>, over_tcp: bool) -> Option<Vec<u8>> {
    let zone = zone.lock().unwrap();
    let asked = Message::from_vec(query).ok()?;
    let question = asked.queries.first()?.clone();
    let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    answer.add_query(question.clone());
    answer.metadata.recursion_available = true;
    let name = question.name().to_ascii().to_ascii_lowercase();
    let is_known = zone.records.keys().any(|(known, _)| *known == name);
    match zone.mood {
        Mood::Silent => return None,
        Mood::Garbled => return Some(b"\x00\x01<html>".to_vec()),
        Mood::Failing => answer.metadata.response_code = ResponseCode::ServFail,
        Mood::Truncating if !over_tcp => answer.metadata.truncation = true,
        Mood::Well | Mood::Truncating if !is_known => answer.metadata.response_code = ResponseCode::NXDomain,
        Mood::Well | Mood::Truncating => {
            for data in zone.records.get(&(name, question.query_type())).into_iter().flatten() {
                answer.add_answer(Record::from_rdata(question.name().clone(), 0, data.clone()));
            }
        }
    }
    let mut bytes = answer.to_vec().expect("it can be written");
    if !over_tcp && bytes.len() > LONGEST_OVER_UDP {
        answer.answers.clear();
        answer.metadata.truncation = true;
        bytes = answer.to_vec().expect("it can be written");
    }
    Some(bytes)
}
