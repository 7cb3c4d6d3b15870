//! Addresses as messages have them, written without a format: each message has several.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Appends an IP address as a URI or Via has it, IPv6 without brackets.
pub(crate) fn put_ip(out: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let [first, rest @ ..] = ip.octets();
            put_number(out, first.into());
            for part in rest {
                out.push('.');
                put_number(out, part.into());
            }
        }
        // Writing into a string cannot fail.
        IpAddr::V6(ip) => write!(out, "{ip}").unwrap_or_default(),
    }
}

/// Appends an address and port, IPv6 in brackets.
pub(crate) fn put_address(out: &mut String, address: SocketAddr) {
    match address.ip() {
        ip @ IpAddr::V4(_) => put_ip(out, ip),
        // Writing into a string cannot fail.
        IpAddr::V6(_) => return write!(out, "{address}").unwrap_or_default(),
    }
    out.push(':');
    put_number(out, address.port());
}

/// Appends a number in decimal.
pub(crate) fn put_number(out: &mut String, number: u16) {
    let digit = |place: u16| char::from(b'0' + (number / place % 10) as u8);
    for place in [10_000, 1_000, 100, 10].into_iter().filter(|place| number >= *place) {
        out.push(digit(place));
    }
    out.push(digit(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them() {
        for text in [
            "0.0.0.0:0",
            "1.20.255.100:65535",
            "192.0.2.1:5060",
            "[2001:db8::1]:9",
            "[::ffff:192.0.2.1]:10000",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let (mut whole, mut ip) = (String::new(), String::new());
            put_address(&mut whole, address);
            put_ip(&mut ip, address.ip());
            assert_eq!((whole.as_str(), ip), (text, address.ip().to_string()));
        }
    }
}
