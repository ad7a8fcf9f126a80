//! `NO_PROXY`: the hosts that are reached directly.

use std::net::IpAddr;

/// A parsed `NO_PROXY` list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Everything,
    /// Addresses that share the first `bits` bits.
    Net {
        ip: IpAddr,
        bits: u32,
        port: Option<u16>,
    },
    /// This name and the names below it.
    Domain {
        name: String,
        port: Option<u16>,
    },
}

impl NoProxy {
    /// Reads a list separated by commas or white space. Invalid entries match nothing, as in other
    /// programs.
    pub(super) fn parse(list: &str) -> Self {
        Self {
            rules: list
                .split([',', ' ', '\t', '\n'])
                .filter(|entry| !entry.is_empty())
                .map(Rule::parse)
                .collect(),
        }
    }

    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let ip = host.parse().ok();
        self.rules.iter().any(|rule| rule.matches(&host, ip, port))
    }
}

impl Rule {
    fn parse(entry: &str) -> Self {
        if entry == "*" {
            return Self::Everything;
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (ip.parse(), bits.parse())
        {
            return Self::Net {
                ip,
                bits,
                port: None,
            };
        }
        let (host, port) = split_port(entry);
        if let Ok(ip) = host.parse() {
            return Self::Net {
                ip,
                bits: u32::MAX,
                port,
            };
        }
        Self::Domain {
            name: host
                .trim_start_matches('*')
                .trim_matches('.')
                .to_ascii_lowercase(),
            port,
        }
    }

    fn matches(&self, host: &str, host_ip: Option<IpAddr>, host_port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Net { ip, bits, port } => {
                port.is_none_or(|port| port == host_port)
                    && host_ip.is_some_and(|host| same_net(*ip, host, *bits))
            }
            Self::Domain { name, port } => {
                !name.is_empty()
                    && port.is_none_or(|port| port == host_port)
                    && host
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

/// Splits the port off `host:port` or `[v6]:port`; a bare IPv6 address has none.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = entry.strip_prefix('[').and_then(|e| e.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn same_net(a: IpAddr, b: IpAddr, bits: u32) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = !u32::MAX.checked_shr(bits).unwrap_or(0);
            (a.to_bits() ^ b.to_bits()) & mask == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = !u128::MAX.checked_shr(bits).unwrap_or(0);
            (a.to_bits() ^ b.to_bits()) & mask == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_themselves_and_their_subdomains() {
        for list in [
            "example.com",
            ".example.com",
            "*.example.com",
            "a, EXAMPLE.com",
        ] {
            let list = NoProxy::parse(list);
            assert!(list.matches("example.com", 80), "{list:?}");
            assert!(list.matches("api.Example.com.", 443), "{list:?}");
            assert!(!list.matches("notexample.com", 80), "{list:?}");
            assert!(!list.matches("example.com.evil", 80), "{list:?}");
        }
    }

    #[test]
    fn a_port_narrows_a_rule() {
        let list = NoProxy::parse("localhost:8080,[::1]:81,10.0.0.1:82");
        assert!(list.matches("localhost", 8080));
        assert!(!list.matches("localhost", 80));
        assert!(list.matches("::1", 81));
        assert!(!list.matches("::1", 80));
        assert!(list.matches("10.0.0.1", 82));
        assert!(!list.matches("10.0.0.1", 80));
    }

    #[test]
    fn addresses_and_networks() {
        let list = NoProxy::parse("127.0.0.1 192.168.0.0/16\tfd00::/8,::1");
        for host in ["127.0.0.1", "192.168.7.9", "fd12::1", "::1"] {
            assert!(list.matches(host, 80), "{host}");
        }
        for host in ["127.0.0.2", "192.169.0.1", "fe80::1", "host"] {
            assert!(!list.matches(host, 80), "{host}");
        }
        assert!(NoProxy::parse("0.0.0.0/0").matches("8.8.8.8", 80));
    }

    #[test]
    fn star_matches_all_and_invalid_rules_match_nothing() {
        assert!(NoProxy::parse("*").matches("anything", 1));
        for list in ["", ",", "...", "1.2.3.4/x", "::::/99"] {
            assert!(!NoProxy::parse(list).matches("host", 80), "{list}");
            assert!(!NoProxy::parse(list).matches("1.2.3.4", 80), "{list}");
        }
    }
}
