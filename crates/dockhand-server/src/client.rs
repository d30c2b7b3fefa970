//! Which client a request is from: what uploads are counted and listed by.
//!
//! It is the address of the connection, or the one that a trusted proxy names. The proxies between us and
//! the client each add the address that they were connected to, so the list is read from its end: the
//! first address that is no trusted proxy is the client. What stands before it was said by the client.
//! <https://www.rfc-editor.org/rfc/rfc7239#section-5.2>

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::cidr::Cidr;

/// The name of the client; empty when not even the other end of the connection is known.
///
/// Of an IPv6 address it is the network of 64 bits, because whoever has one address there has all of
/// them.
pub(crate) fn name(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[Cidr]) -> String {
    match peer.map(|peer| address(peer, headers, trusted).to_canonical()) {
        None => String::new(),
        Some(IpAddr::V4(four)) => four.to_string(),
        Some(IpAddr::V6(six)) => {
            let network = Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64));
            format!("{network}/64")
        }
    }
}

/// The address of the client, given that of the other end of the connection.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_proxy = |address: &IpAddr| trusted.iter().any(|block| block.contains(*address));
    if !is_proxy(&peer) {
        return peer;
    }
    let mut client = peer;
    for hop in hops(headers).iter().rev() {
        if !is_proxy(&client) {
            break;
        }
        match hop {
            Some(address) => client = *address,
            // A proxy that hides whom it speaks for is the client.
            None => break,
        }
    }
    client
}

/// The addresses that the proxies name, the one nearest the client first: by `Forwarded`, else by
/// `X-Forwarded-For`, else by `X-Real-IP`. Nothing where one is hidden.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let entries = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        let entries = texts.flat_map(|text| text.split(','));
        entries.map(|entry| entry.trim().to_owned()).collect()
    };
    let forwarded = entries(FORWARDED.as_str());
    if !forwarded.is_empty() {
        return forwarded.iter().map(|entry| node(for_of(entry)?)).collect();
    }
    let plain = match entries("x-forwarded-for") {
        none if none.is_empty() => entries("x-real-ip"),
        some => some,
    };
    plain.iter().map(|entry| node(entry)).collect()
}

/// The `for` of an entry of `Forwarded`.
fn for_of(entry: &str) -> Option<&str> {
    let mut pairs = entry.split(';').filter_map(|pair| pair.split_once('='));
    let (_, text) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case("for"))?;
    Some(text.trim().trim_matches('"'))
}

/// An address, with a port or without: `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok().map(IpAddr::V6);
    }
    let (address, _) = text.split_once(':')?;
    address.parse().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(peer: &str, pairs: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            headers.append(*name, HeaderValue::from_str(text).unwrap());
        }
        name(Some(peer.parse().unwrap()), &headers, &trusted)
    }

    #[test]
    fn without_a_trusted_proxy_it_is_the_other_end() {
        let said = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(of("192.0.2.7", &said), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7", &said), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::/64");
        assert_eq!(of("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(name(None, &HeaderMap::new(), &[]), "");
    }

    #[test]
    fn a_trusted_proxy_names_it() {
        for (pairs, client) in [
            (&[("x-forwarded-for", "192.0.2.7")][..], "192.0.2.7"),
            (&[("x-forwarded-for", "192.0.2.7:4711")], "192.0.2.7"),
            (&[("x-forwarded-for", "2001:db8::7")], "2001:db8::/64"),
            (&[("x-real-ip", "192.0.2.7")], "192.0.2.7"),
            (
                &[("forwarded", "For=\"192.0.2.7:4711\";proto=https")],
                "192.0.2.7",
            ),
            (
                &[("forwarded", "proto=https;for=\"[2001:db8::7]:4711\"")],
                "2001:db8::/64",
            ),
            // Proxies behind each other, in one header or two.
            (&[("x-forwarded-for", "192.0.2.7, 10.9.9.9")], "192.0.2.7"),
            (
                &[
                    ("x-forwarded-for", "192.0.2.7"),
                    ("x-forwarded-for", "10.9.9.9"),
                ],
                "192.0.2.7",
            ),
            // What the client said itself stands before.
            (
                &[("x-forwarded-for", "203.0.113.1, 192.0.2.7, fd00::1")],
                "192.0.2.7",
            ),
            (&[("x-forwarded-for", "nonsense, 192.0.2.7")], "192.0.2.7"),
            // A client inside: all are trusted.
            (&[("x-forwarded-for", "10.5.5.5")], "10.5.5.5"),
            // One that is hidden ends the search.
            (&[("forwarded", "for=192.0.2.7, for=_hidden")], "10.1.2.3"),
            (&[("forwarded", "for=unknown")], "10.1.2.3"),
            (&[("forwarded", "proto=https")], "10.1.2.3"),
            (&[("x-forwarded-for", "")], "10.1.2.3"),
        ] {
            assert_eq!(of("10.1.2.3", pairs), client, "{pairs:?}");
        }
    }
}
