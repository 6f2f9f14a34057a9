//! The authority that an operator's `url` grants.

use std::net::IpAddr;

/// A parsed `url`: scheme, host, port and the path that every request begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// Lower case; IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Empty, or with a leading and without a trailing slash.
    pub(super) base: String,
}

impl Target {
    /// Reads `https://host[:port][/base]`.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|_| "the url is malformed".to_owned())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("the url must begin with `https://` or `http://`".to_owned()),
        };
        let authority = uri.authority().ok_or("the url has no host")?;
        if authority.as_str().contains('@') {
            return Err("the url holds a user name; use `username` and `password`".to_owned());
        }
        if uri.query().is_some() || url.contains('#') {
            return Err("the url has a query or a fragment".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() || host.ends_with('.') || host.contains('%') {
            return Err("the url's host is empty, ends in a dot or has a zone".to_owned());
        }
        // The parser's own `port()` passes over what is no number.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => [80, 443][usize::from(tls)],
            Some(rest) => {
                rest.strip_prefix(':').and_then(|text| text.parse().ok()).filter(|&port| port != 0).ok_or("the url's port is no port")?
            }
            None => return Err("the url's host is malformed".to_owned()),
        };
        let path = crate::policy::RequestPath::parse(uri.path()).map_err(|failure| failure.text)?;
        let base = path.wire().trim_end_matches('/').to_owned();
        Ok(Self { tls, host, port, base })
    }

    /// Whether plain http stays on this machine as far as the text says: a loopback address or `localhost`.
    pub(super) fn names_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// `host:port` as in a `Host` header (RFC 9110 section 7.2): the port only if it is not the scheme's own.
    pub(super) fn host_header(&self) -> String {
        let host = self.bracketed();
        if self.port == [80, 443][usize::from(self.tls)] { host } else { format!("{host}:{}", self.port) }
    }

    /// One spelling for one place: scheme, host, port, base.
    pub(super) fn authority(&self) -> String {
        format!("{}://{}:{}{}", if self.tls { "https" } else { "http" }, self.bracketed(), self.port, self.base)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_spelling() {
        for (url, authority, header) in [
            ("https://Vault.Corp", "https://vault.corp:443", "vault.corp"),
            ("https://vault.corp:443/", "https://vault.corp:443", "vault.corp"),
            ("http://127.0.0.1:8200/base/", "http://127.0.0.1:8200/base", "127.0.0.1:8200"),
            ("https://[::1]:8200", "https://[::1]:8200", "[::1]:8200"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.authority().as_str(), target.host_header().as_str()), (authority, header));
        }
    }

    #[test]
    fn unclear_urls_are_refused() {
        for url in [
            "",
            "vault.corp",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?x",
            "https://a/#f",
            "https://a:0x50",
            "https://a:99999",
            "https://a:0",
            "https://a:",
            "https://a./",
            "https://a/../b",
            "https://a/%2e%2e",
            "https:///a",
            "//a",
            "unix:/run/a",
            "https://[fe80::1%25eth0]/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_clear_loopback_counts() {
        for (url, loopback) in [
            ("http://localhost", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://localhost.evil.example", false),
            ("http://127.1", false),
            ("http://2130706433", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(Target::parse(url).expect(url).names_loopback(), loopback, "{url}");
        }
    }
}
