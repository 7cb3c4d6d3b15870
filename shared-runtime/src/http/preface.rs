//! What a proxy says of its client before it passes TLS on: the PROXY protocol, sections 2.1 (version 1) and 2.2 (version 2) of
//! haproxy.org's text.
//!
//! In    the first bytes of a connection of a proxy that is trusted, and that the operator says writes a header: where it wrote none,
//!       the first bytes would be its client's.
//! Out   the client's address, or nothing where the proxy speaks for itself.
//! Errors no header, one that is none, or longer than [`LONGEST`]: the connection ends.
//! Not here: what stands behind the addresses of version 2, which is passed over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Reads the header.
pub(super) async fn read(socket: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut first = [0];
    match (socket.peek(&mut first).await?, first[0]) {
        (1, b'P') => line(socket).await,
        (1, b'\r') => binary(socket).await,
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 56324 443` or `PROXY UNKNOWN`.
async fn line(socket: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut text = Vec::with_capacity(LONGEST_LINE);
    while !text.ends_with(b"\r\n") {
        if text.len() == LONGEST_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        text.push(socket.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&text);
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    let client = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4" | "TCP6", source, _, port, _] => source.parse().ok().zip(port.parse().ok()),
        _ => None,
    };
    let (ip, port): (IpAddr, u16) = client.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(SocketAddr::new(ip.to_canonical(), port)))
}

/// Version 2.
async fn binary(socket: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    socket.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let (version, command) = (head[12] >> 4, head[12] & 15);
    if head[..12] != SIGNATURE || version != 2 || command > PROXY || length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length];
    socket.read_exact(&mut rest).await?;
    if command != PROXY {
        return Ok(None); // LOCAL: the proxy itself looks whether we are there
    }
    let source = match head[13] {
        TCP4 => rest.first_chunk::<12>().map(|all| {
            let [a, b, c, d, ..] = *all;
            (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), [all[8], all[9]])
        }),
        TCP6 => rest.first_chunk::<36>().and_then(|all| {
            let ip = Ipv6Addr::from(*all.first_chunk::<16>()?);
            Some((IpAddr::V6(ip), [all[32], all[33]]))
        }),
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Ok(None),
        _ => None,
    };
    let (ip, port) = source.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(port))))
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const PROXY: u8 = 1;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// §2.1: bytes of the longest line, with its end.
const LONGEST_LINE: usize = 107;
/// Bytes behind the first sixteen: addresses, and what a proxy adds of its TLS.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn said(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        proxy.write_all(bytes).await.unwrap();
        proxy.shutdown().await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let read = read(&mut socket).await;
        let mut rest = Vec::new();
        // What was refused is broken off.
        let _ = socket.read_to_end(&mut rest).await;
        (read, rest)
    }

    fn header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = (addresses.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, addresses].concat()
    }

    #[tokio::test]
    async fn a_proxy_names_its_client_and_takes_nothing_of_what_follows() {
        let v4 = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80];
        let (client, rest) = said(&[&header(1, 0x11, &v4)[..], b"GET"].concat()).await;
        assert_eq!((client.unwrap(), &rest[..]), (Some("192.0.2.7:4660".parse().unwrap()), &b"GET"[..]));
        let mut v6 = [0; 40];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 1, 9, 5); // four bytes of something else behind it
        let (client, rest) = said(&[&header(1, 0x21, &v6)[..], b"\x16\x03"].concat()).await;
        assert_eq!((client.unwrap(), rest.len()), (Some("[2001::9]:5".parse().unwrap()), 2));
        for own in
            [header(0, 0, &[]), header(0, 0x11, &v4), header(1, 0, &[1; 9]), header(1, 0x31, &[0; 216])]
        {
            let (client, rest) = said(&[&own[..], b"GET"].concat()).await;
            assert_eq!((client.unwrap(), &rest[..]), (None, &b"GET"[..]));
        }
        for (line, wanted) in [
            ("PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\r\n", Some("192.0.2.7:56324")),
            ("PROXY TCP6 2001:db8::7 ::1 1 443\r\n", Some("[2001:db8::7]:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        ] {
            let (client, rest) = said(format!("{line}GET").as_bytes()).await;
            assert_eq!(
                (client.unwrap(), &rest[..]),
                (wanted.map(|wanted| wanted.parse().unwrap()), &b"GET"[..])
            );
        }
    }

    #[tokio::test]
    async fn a_header_that_is_none_ends_the_connection() {
        assert!(said(b"\x16\x03\x01").await.0.is_err(), "TLS, and no word before it");
        assert!(said(b"").await.0.is_err());
        let whole = header(1, 0x11, &[1; 12]);
        let mut other = whole.clone();
        other[4] = b'x';
        let mut newer = whole.clone();
        newer[12] = 0x31;
        let short = header(1, 0x11, &[1; 11]);
        let long = header(1, 0x11, &vec![1; LONGEST + 1]);
        for bad in [
            &whole[..20],
            &other,
            &newer,
            &short,
            &long,
            &header(2, 0x11, &[1; 12]),
            &header(1, 0x13, &[1; 12]),
        ] {
            assert!(said(bad).await.0.is_err(), "{bad:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        for bad in [
            "PROXY TCP4 x y 1 2\r\n",
            "PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n",
            "POST / HTTP/1.1\r\n",
            "PROXY \r\n",
            &long,
        ] {
            assert!(said(bad.as_bytes()).await.0.is_err(), "{bad:?}");
        }
    }
}
