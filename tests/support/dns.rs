//! A name server of the test's own: a table behind a UDP socket; test crates include this file by its path.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

type Table = Arc<Mutex<HashMap<(String, RecordType), Vec<RData>>>>;

/// A running name server; it ends with its test's runtime.
pub struct Dns {
    pub address: SocketAddr,
    table: Table,
    queries: Arc<AtomicUsize>,
}

impl Dns {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (table, queries) = (Table::default(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(serve(socket, Arc::clone(&table), Arc::clone(&queries)));
        Self { address, table, queries }
    }

    /// How many questions came.
    pub fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    pub fn naptr(&self, name: &str, order: u16, service: &str, replacement: &str) {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let naptr = NAPTR::new(order, 50, bytes("s"), bytes(service), bytes(""), fqdn(replacement));
        self.put(name, RecordType::NAPTR, RData::NAPTR(naptr));
    }

    /// A record of ENUM (RFC 6116 §3), which is the last one.
    pub fn telephone(&self, name: &str, (order, preference): (u16, u16), service: &str, regexp: &str) {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let naptr = NAPTR::new(order, preference, bytes("u"), bytes(service), bytes(regexp), Name::root());
        self.put(name, RecordType::NAPTR, RData::NAPTR(naptr));
    }

    pub fn srv(&self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        self.put(name, RecordType::SRV, RData::SRV(SRV::new(priority, weight, port, fqdn(target))));
    }

    pub fn host(&self, name: &str, ip: &str) {
        match ip.parse().unwrap() {
            std::net::IpAddr::V4(ip) => self.put(name, RecordType::A, RData::A(A(ip))),
            std::net::IpAddr::V6(ip) => self.put(name, RecordType::AAAA, RData::AAAA(AAAA(ip))),
        }
    }

    fn put(&self, name: &str, kind: RecordType, data: RData) {
        let key = (fqdn(name).to_ascii(), kind);
        self.table.lock().unwrap().entry(key).or_default().push(data);
    }
}

async fn serve(socket: UdpSocket, table: Table, queries: Arc<AtomicUsize>) {
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        queries.fetch_add(1, Ordering::SeqCst);
        let asked = Message::from_vec(&buffer[..length]).unwrap();
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        for query in &asked.queries {
            answer.add_query(query.clone());
            let key = (query.name().to_ascii().to_ascii_lowercase(), query.query_type());
            let records = table.lock().unwrap().get(&key).cloned();
            match records {
                Some(records) => {
                    let record = |data| Record::from_rdata(query.name().clone(), 300, data);
                    answer.add_answers(records.into_iter().map(record));
                }
                None => {
                    let is_known = table.lock().unwrap().keys().any(|(name, _)| *name == key.0);
                    if !is_known {
                        answer.metadata.response_code = ResponseCode::NXDomain;
                    }
                    // RFC 2308 §3: how long it may be remembered that there is nothing.
                    let soa = SOA::new(Name::root(), Name::root(), 1, 300, 300, 300, 300);
                    answer.add_authority(Record::from_rdata(Name::root(), 300, RData::SOA(soa)));
                }
            }
        }
        socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
    }
}

fn fqdn(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}
