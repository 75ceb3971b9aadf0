//! Endpoints of both programs: `tcp://HOST:PORT`, `ipc://PATH`.
//!
//! Promises: an endpoint that counts as local does not leave this host. Leaves out: whether a
//! transport is allowed.

use std::net::IpAddr;

/// Whether a connection to an endpoint may leave this host. `localhost` is this host (RFC 6761,
/// 6.3); any other name may be another host's.
pub fn leaves_host(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("tcp://").and_then(|place| place.rsplit_once(':'));
    host.is_some_and(|(host, _)| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host != "localhost" && !address.is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_stays_on_this_host_and_names_may_not() {
        let here = ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "localhost"];
        let away = ["*", "0.0.0.0", "[::]", "10.0.0.1", "[fe80::1]", "[::1%lo]", "localhost.x", ""];
        let of = |host: &&str| format!("tcp://{host}:5555");
        assert!(!here.iter().map(of).any(|endpoint| leaves_host(&endpoint)));
        assert!(away.iter().map(of).all(|endpoint| leaves_host(&endpoint)));
        assert!(!leaves_host("ipc:///run/zcmd:1"));
        // A second address, and the other's port for the first one's.
        assert!(leaves_host("tcp://127.0.0.1:1;10.0.0.1:2"));
    }
}
