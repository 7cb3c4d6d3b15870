//! What a monitoring system sees of the process itself.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::service::Service;

#[test]
fn the_process_tells_its_release_and_what_it_costs() {
    let service = Service::start();
    let mut stream = TcpStream::connect(("127.0.0.1", service.port("operations.listen"))).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("cusax_build_info{{version=\"{version}\"}} 1")), "{text}");
    #[cfg(target_os = "linux")]
    for name in ["process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
}
