//! Protection against requests to inner networks: which addresses may be connected to, and which URLs be configured.
//!
//! Names are resolved here and nowhere else: the connection goes to an address that was looked at, so a name that changes
//! its mind between the look and the connection gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Most bytes of an endpoint's URL.
const URL_BYTES_MAX: usize = 1_024;

/// Whether an address is one of the public internet: no private, loopback, link-local (cloud metadata), carrier-grade NAT,
/// multicast, documentation, benchmark, translated or reserved one. IANA's special-purpose registries.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    /// Network and prefix length.
    const SPECIAL: [([u8; 4], u32); 16] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 31, 196, 0], 24),
        ([192, 52, 193, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        // Multicast, reserved, broadcast.
        ([224, 0, 0, 0], 3),
    ];
    let bits = u32::from(address);
    !SPECIAL.iter().any(|(network, length)| (bits ^ u32::from(Ipv4Addr::from(*network))) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast only: that leaves out loopback, mapped and translated IPv4, unique local, link-local, multicast.
    let global = first >> 13 == 0b001;
    let protocol_assignments = first == 0x2001 && second < 0x0200;
    let documentation = (first == 0x2001 && second == 0x0DB8) || (first == 0x3FFF && second < 0x1000);
    let six_to_four = first == 0x2002;
    global && !protocol_assignments && !documentation && !six_to_four
}

/// Why a URL cannot be an endpoint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// It is no URL, or has parts that a base URL does not have.
    #[error("must be a base URL of at most {URL_BYTES_MAX} bytes, without user, query and fragment")]
    Form,
    /// It is not of TLS.
    #[error("must begin with https://")]
    Scheme,
    /// It leads to an inner network.
    #[error("must not lead to a private, loopback or otherwise special address")]
    Private,
}

/// Reads an endpoint's base URL. A name is looked up only when it is connected to.
pub fn check_url(text: &str, allow_http: bool, allow_private: bool) -> Result<Url, BadUrl> {
    if text.len() > URL_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(BadUrl::Form);
    }
    let url = Url::parse(text).map_err(|_| BadUrl::Form)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        _ => return Err(BadUrl::Scheme),
    }
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() || url.host_str().is_none() {
        return Err(BadUrl::Form);
    }
    if !allow_private && !host_may_be_asked(&url) {
        return Err(BadUrl::Private);
    }
    Ok(url)
}

/// Whether the host is a name, or an address that is public. `localhost` is refused here already, to say so early.
pub(crate) fn host_may_be_asked(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        is_public(address)
    } else {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        !name.is_empty() && name != "localhost" && !name.ends_with(".localhost")
    }
}

/// Resolves names to public addresses only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    pub(crate) allow_private: bool,
}

/// A name that leads nowhere it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name leads to no address that may be connected to")]
struct Refused;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_and_special_addresses_are_refused() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:0a00:0001::",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn urls_that_lead_inside_are_refused_however_they_are_written() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://017700000001/",
            "https://[::1]:8443/x",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://localhost",
            "https://LOCALHOST.",
            "https://a.localhost/",
        ] {
            assert_eq!(check_url(url, false, false).map(|_| ()), Err(BadUrl::Private), "{url}");
            assert!(check_url(url, false, true).is_ok(), "{url} is allowed where the configuration says so");
        }
    }

    #[test]
    fn only_plain_base_urls_with_tls_will_do() {
        assert!(check_url("https://hooks.example.com:8443/in/florin", false, false).is_ok());
        for (url, why) in [
            ("http://example.com", BadUrl::Scheme),
            ("ftp://example.com", BadUrl::Scheme),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("example.com", BadUrl::Form),
            ("https://", BadUrl::Form),
            ("https://user:pass@example.com", BadUrl::Form),
            ("https://example.com/?a=b", BadUrl::Form),
            ("https://example.com/#a", BadUrl::Form),
            ("https://exa mple.com", BadUrl::Form),
            ("https://example.com/\n", BadUrl::Form),
        ] {
            assert_eq!(check_url(url, false, false).map(|_| ()), Err(why), "{url}");
        }
        assert!(check_url("http://example.com", true, false).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let inside = Resolver { allow_private: false }.resolve("localhost".parse().expect("a name"));
        assert!(inside.await.is_err());
        let allowed = Resolver { allow_private: true }.resolve("localhost".parse().expect("a name")).await;
        assert!(allowed.expect("addresses").all(|address| address.ip().is_loopback()));
    }
}
