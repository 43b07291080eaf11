//! Where the page may be framed, and where it is: origins as they stand in a content security policy.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// An origin: `https://shop.example`, with a port where it is not the default one. Plain `http` and a port of `*` only on loopback,
/// for development.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not of the form.
    #[error("must be an origin such as \"https://shop.example\": scheme and host, no path, in lower case")]
    Form,
    /// Not encrypted, and not on this machine.
    #[error("must begin with https:// (http:// is for 127.0.0.1, [::1] and localhost only)")]
    Plain,
    /// Any port of another machine.
    #[error("must name its port: * is for 127.0.0.1, [::1] and localhost only")]
    AnyPort,
}

/// Hosts of this machine.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(Error::Form),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let loopback = LOOPBACK.contains(&host);
        let name = |host: &str| {
            let letters = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            host.len() <= 253 && host.split('.').all(letters)
        };
        if !loopback && !name(host) {
            return Err(Error::Form);
        }
        match port {
            Some("*") if !loopback => return Err(Error::AnyPort),
            None | Some("*") => {}
            Some(port) => match port.parse::<u16>() {
                Ok(number) if number > 0 && port == number.to_string() => {}
                _ => return Err(Error::Form),
            },
        }
        if !secure && !loopback {
            return Err(Error::Plain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Origin {
    /// Whether a page at this address is of this origin.
    pub(super) fn has(&self, address: &str) -> bool {
        let origin = match address.split_once("://") {
            Some((_, rest)) => &address[..address.len() - rest.len() + rest.find('/').unwrap_or(rest.len())],
            None => return false,
        };
        let any_port = self.0.strip_suffix(":*").and_then(|before| origin.strip_prefix(before));
        match any_port {
            Some("") => true,
            Some(rest) => {
                rest.strip_prefix(':').is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
            }
            None => origin == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_that_could_end_a_policy() {
        for good in [
            "https://shop.example",
            "https://shop.example:8443",
            "https://xn--bcher-kva.example",
            "http://localhost:3000",
            "http://127.0.0.1:*",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert_eq!(good.parse::<Origin>().map(|origin| origin.to_string()), Ok(good.to_owned()));
        }
        for (bad, error) in [
            ("", Error::Form),
            ("*", Error::Form),
            ("shop.example", Error::Form),
            ("https://", Error::Form),
            ("https://*.example", Error::Form),
            ("https://shop.example/", Error::Form),
            ("https://shop.example/path", Error::Form),
            ("https://Shop.example", Error::Form),
            ("https://shop.example; script-src *", Error::Form),
            ("https://shop.example 'self'", Error::Form),
            ("https://shop..example", Error::Form),
            ("https://ann@shop.example", Error::Form),
            ("https://shop.example:", Error::Form),
            ("https://shop.example:0", Error::Form),
            ("https://shop.example:70000", Error::Form),
            ("https://shop.example:*", Error::AnyPort),
            ("http://shop.example", Error::Plain),
            ("ftp://shop.example", Error::Form),
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(error), "{bad}");
        }
    }

    #[test]
    fn a_page_is_of_its_origin_only() {
        let shop: Origin = "https://shop.example".parse().unwrap();
        assert!(shop.has("https://shop.example/") && shop.has("https://shop.example/cards?x=1"));
        for other in
            ["https://shop.example.evil/", "https://shop.example:444/", "http://shop.example/", "shop.example", ""]
        {
            assert!(!shop.has(other), "{other}");
        }
        let local: Origin = "http://127.0.0.1:*".parse().unwrap();
        assert!(local.has("http://127.0.0.1/") && local.has("http://127.0.0.1:3000/a"));
        assert!(!local.has("http://127.0.0.1.evil/") && !local.has("http://127.0.0.1:x/"));
    }
}
