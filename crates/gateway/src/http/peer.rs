//! The caller's address: the connection's, or what trusted proxies in front say it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};

/// The address of a caller behind `hops` trusted proxies: with none the connection's; else the entry of `X-Forwarded-For` that
/// the outermost trusted proxy wrote, counted from the right, since a caller can write whatever it likes to its left.
pub fn address(headers: &HeaderMap, extensions: &Extensions, hops: usize) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip().to_canonical());
    if hops == 0 {
        return peer;
    }
    headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .nth(hops - 1)
        .and_then(|entry| entry.trim().parse::<IpAddr>().ok())
        .map_or(peer, |address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 7))));
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 1.2.3.4".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.2".parse().unwrap());
        for (hops, address_text) in [(0, "10.0.0.1"), (1, "10.0.0.2"), (2, "1.2.3.4"), (3, "6.6.6.6"), (4, "10.0.0.1")]
        {
            assert_eq!(address(&headers, &extensions, hops).to_string(), address_text);
        }
    }
}
