//! The good client: asks for maths and for `true` in turn, all the time, and measures.
//!
//! Promises: a wrong or missing reply is a fault and counts as the longest wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::host::Host;

/// The timeout of a reply in milliseconds.
const PATIENCE_MS: i32 = 10_000;
/// The interval between two pairs of requests: a client that works, and does not flood.
const PAUSE: Duration = Duration::from_millis(5);

/// The greatest number of different faults that are kept.
const FAULTS_MAX: usize = 16;

/// Milliseconds that replies took: for maths, for `true`.
pub type Times = [Vec<f64>; 2];
/// Wrong replies, and the number of each.
pub type Faults = BTreeMap<String, u64>;

pub struct Good {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    times: Mutex<Times>,
    faults: Mutex<Faults>,
}

impl Good {
    pub fn start(host: &Host) -> Result<Self, String> {
        let token = host.token("good");
        let maths = r#"{"command_type":"compute","expression":"2*(3+4)","token":"TOKEN"}"#;
        let os = r#"{"command_type":"os","command_name":"true","token":"TOKEN"}"#;
        let requests = [(maths, r#""result":14}"#), (os, r#""exit_code":0,"#)]
            .map(|(request, wanted)| (request.replace("TOKEN", &token), wanted));
        let socket = host.dealer(100)?;
        socket.set_rcvtimeo(PATIENCE_MS).map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !own.ended.load(Ordering::Relaxed) {
                for (kind, (request, wanted)) in requests.iter().enumerate() {
                    let begin = Instant::now();
                    let reply = socket.send(request, 0).and_then(|()| socket.recv_bytes(0));
                    let time = begin.elapsed().as_secs_f64() * 1e3;
                    own.times.lock().expect("times")[kind].push(time);
                    let reply = reply.map(|body| String::from_utf8_lossy(&body).into_owned());
                    match reply {
                        Ok(reply) if reply.contains(wanted) => {}
                        other => own.fault(format!("not {wanted}, but {other:?}")),
                    }
                }
                std::thread::sleep(PAUSE);
            }
        });
        Ok(Self { shared, thread })
    }

    /// The measures and faults since the last call.
    pub fn take(&self) -> (Times, Faults) {
        let times = std::mem::take(&mut *self.shared.times.lock().expect("times"));
        (times, std::mem::take(&mut *self.shared.faults.lock().expect("faults")))
    }

    pub fn stop(self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("a good client that does not panic");
    }
}

impl Shared {
    fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().expect("faults");
        if faults.len() < FAULTS_MAX || faults.contains_key(&fault) {
            *faults.entry(fault).or_default() += 1;
        }
    }
}
