//! The endpoints of the daemon, and whether tokens may cross a network unencrypted.
//!
//! Promises: without CURVE, no token crosses a network unless the owner allows it. Leaves out: the
//! binding of sockets.

use super::reader::Reader;
use crate::limits;
use crate::protocol::endpoint::leaves_host;

impl Reader<'_> {
    pub(super) fn endpoints(&mut self) -> Vec<String> {
        let name = "SERVER_ADDRESS";
        let text = self.get(name).unwrap_or_else(|| "tcp://127.0.0.1:5555".to_owned());
        let endpoints: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        for endpoint in &endpoints {
            let file = endpoint.strip_prefix("ipc://");
            let place = endpoint.strip_prefix("tcp://").or(file);
            // libzmq would accept digits before other text, and truncate them to 16 bits.
            let has_port = endpoint.strip_prefix("tcp://").is_none_or(|place| {
                place.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port))
            });
            // libzmq's ws:// would admit any web page; inproc:// reaches no other process. An
            // abstract socket has no file whose mode would limit access.
            let is_absolute = file.is_none_or(|file| file.starts_with('/'));
            if place.is_none_or(str::is_empty) || !is_absolute || !has_port {
                self.faults.push(format!(
                    "{name}={endpoint}: must be tcp://ADDRESS:PORT or ipc:///PATH, PORT being 1 to \
                     65535 or *; several are separated by commas"
                ));
            }
        }
        if endpoints.len() > limits::ENDPOINTS_MAX {
            self.faults.push(format!("{name}: at most {} endpoints", limits::ENDPOINTS_MAX));
        }
        self.shown.push((name, text));
        endpoints
    }

    pub(super) fn curve(&mut self) -> (Option<String>, Option<String>) {
        let (secret, clients) = ("CURVE_SECRET_KEY_FILE", "CURVE_CLIENTS_FILE");
        let files = (self.text(secret), self.text(clients));
        if files.0.is_some() != files.1.is_some() {
            self.faults.push(format!(
                "{secret} and {clients} go together: zcmdd keygen --curve FILE makes the one, and \
                 the other lists the admitted keys, as KEY NAME [SUBJECT...]"
            ));
        }
        files
    }

    /// Whether tokens may be read in transit, which the owner must allow explicitly.
    pub(super) fn cleartext(&mut self, endpoints: &[String], curve: bool) -> bool {
        let wanted = self.choice("ALLOW_CLEARTEXT", &["no", "yes"]) == "yes";
        let open: Vec<_> = endpoints.iter().filter(|place| !curve && leaves_host(place)).collect();
        if !wanted {
            self.faults.extend(open.iter().map(|endpoint| {
                format!(
                    "SERVER_ADDRESS={endpoint}: tokens would cross the network in the clear; set \
                     CURVE_SECRET_KEY_FILE and CURVE_CLIENTS_FILE (zcmdd keygen --curve), listen \
                     on tcp://127.0.0.1:PORT or ipc:///PATH, or set ALLOW_CLEARTEXT=yes"
                )
            }));
        }
        !open.is_empty()
    }
}

/// Whether a text is a port, or `*` for any free port.
fn is_port(text: &str) -> bool {
    text == "*" || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn old_wound_a_port_that_is_none_was_taken_for_another() {
        let read = |port: &str| {
            let endpoint = format!("tcp://127.0.0.1{port}");
            read(&[("JWT_SECRET_KEY", "x"), ("SERVER_ADDRESS", &endpoint)])
        };
        for good in [":1", ":5555", ":65535", ":*", ":0"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["", ":", ":80x", ":99999", ":65536", ":+80", ":-1", ": 80", ":80 1", ":**"] {
            let faults = read(bad).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains("PORT"), "{bad} {faults:?}");
        }
    }

    #[test]
    fn a_network_without_curve_is_an_error_unless_the_owner_says_so() {
        let read = |endpoint, more: &[(&str, &str)]| {
            let base = [("JWT_SECRET_KEY", "x"), ("SERVER_ADDRESS", endpoint)];
            read(&[&base[..], more].concat()).map(|settings| settings.cleartext)
        };
        let curve = [("CURVE_SECRET_KEY_FILE", "a"), ("CURVE_CLIENTS_FILE", "b")];
        let here = ["tcp://127.0.0.1:1", "tcp://127.1.2.3:1", "tcp://[::1]:1", "ipc:///s"];
        let open = [
            "tcp://*:1",
            "tcp://0.0.0.0:1",
            "tcp://[::]:1",
            "tcp://10.0.0.1:1",
            "tcp://eth0:1",
            "tcp://127.0.0.1.example.org:1",
            "tcp://[::ffff:10.0.0.1]:1",
            "tcp://127.0.0.1:1,tcp://*:2",
        ];
        for endpoint in here {
            assert_eq!(read(endpoint, &[]), Ok(false), "{endpoint}");
            assert_eq!(read(endpoint, &[("ALLOW_CLEARTEXT", "yes")]), Ok(false), "{endpoint}");
        }
        for endpoint in open {
            let faults = read(endpoint, &[]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains("ALLOW_CLEARTEXT"), "{faults:?}");
            assert_eq!(read(endpoint, &curve), Ok(false), "{endpoint}");
            assert_eq!(read(endpoint, &[("ALLOW_CLEARTEXT", "yes")]), Ok(true), "{endpoint}");
        }
        for half in curve {
            assert!(read("ipc:///s", &[half]).unwrap_err()[0].contains("go together"));
        }
        assert!(read("ipc://@abstract", &[]).is_err());
        assert!(read("ipc:///s", &[("IPC_MODE", "0o77")]).is_err());
    }
}
