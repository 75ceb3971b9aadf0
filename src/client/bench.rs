//! A load generator that knows what the machine itself can do.
//!
//! Promises: the daemon and a bare ROUTER that echoes are driven by the same lines of this file,
//! over the same kind of socket, with requests and replies of the same bytes, in turn; the echo
//! has a loop and an I/O thread of its own, as the daemon has.
//! Leaves out: commands, whose cost is that of their programs.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::client::connection::{Connection, NOTHING};
use crate::client::settings::{Servers, Settings};
use crate::client::status::{self, Failure};
use crate::client::text;
use crate::limits;
use crate::protocol::reply::{Answer, Code, Reply};
use crate::protocol::request::{Ask, Id, Request};

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bench {
    /// Requests to each of the two, one at a time; and as many again with several in flight.
    pub requests: usize,
    /// How many are in flight then.
    pub in_flight: usize,
}

/// What was measured of one of the two.
#[derive(Default)]
struct Measured {
    /// Nanoseconds of each round trip.
    round_trips: Vec<u32>,
    /// The time of all pipelined requests.
    pipelined: Duration,
    /// Their number.
    requests: usize,
}

impl Bench {
    /// Measures, and prints the result.
    ///
    /// # Errors
    /// The daemon does not answer, or not as it should; or the echo cannot be started.
    pub fn run(self, settings: &Settings) -> Result<u8, Failure> {
        let until = crate::client::deadline(settings);
        let ask = Ask::Compute { expression: "2*(3+4)".to_owned(), variables: Vec::new() };
        let id = Some(Id::Number(1));
        let request = Request { id, token: settings.token.clone(), ask }.encode();
        let bytes_max = limits::VALUE_REPLY_BYTES_MAX;
        let daemon = Connection::open(&settings.servers, bytes_max, until, NOTHING)?;
        let reply = first_reply(&daemon, &request, until)?;
        let address = start_echo(daemon.server(), reply.clone())?;
        let plain = Servers { addresses: vec![address], curve: None };
        let echo = Connection::open(&plain, bytes_max, until, NOTHING)?;
        first_reply(&echo, &request, until)?;
        let mut measured = [Measured::default(), Measured::default()];
        let share = self.requests.div_ceil(limits::BENCH_ROUNDS);
        for _ in 0..limits::BENCH_ROUNDS {
            for (measured, connection) in measured.iter_mut().zip([&echo, &daemon]) {
                let target = Target { connection, request: &request, reply: &reply, until };
                target.lock_step(share, measured)?;
                target.pipelined(share, self.in_flight, measured)?;
            }
        }
        let report = self.report(daemon.server(), measured);
        io::stdout().write_all(report.as_bytes()).map_err(|error| text::unwritten(&error))?;
        Ok(status::DONE)
    }

    fn report(self, server: &str, measured: [Measured; 2]) -> String {
        let rows = measured.map(|mut measured| {
            measured.round_trips.sort_unstable();
            let trips = &measured.round_trips;
            let at = |percent: usize| {
                let index = (trips.len() * percent / 100).min(trips.len().saturating_sub(1));
                f64::from(trips.get(index).copied().unwrap_or(0)) / 1000.0
            };
            [at(50), at(99), measured.requests as f64 / measured.pipelined.as_secs_f64()]
        });
        let [echo, daemon] = rows;
        let width = server.len().max(12);
        let mut report = format!("{:26}{:>12}  {server:>width$}  ratio\n", "", "bare echo");
        let names = ["one at a time, median µs", "one at a time, p99 µs", "in flight, requests/s"];
        for ((name, echo), daemon) in names.iter().zip(echo).zip(daemon) {
            let ratio = daemon / echo;
            let name = name.replace("in flight", &format!("{} in flight", self.in_flight));
            report += &format!("{name:26}{echo:>12.1}  {daemon:>width$.1}  {ratio:>5.2}\n");
        }
        report
    }
}

/// One of the two, and what it is asked.
struct Target<'a> {
    connection: &'a Connection,
    request: &'a [u8],
    reply: &'a [u8],
    until: Instant,
}

impl Target<'_> {
    fn lock_step(&self, requests: usize, measured: &mut Measured) -> Result<(), Failure> {
        for _ in 0..requests {
            let begin = Instant::now();
            self.send()?;
            self.receive()?;
            let nanoseconds = u32::try_from(begin.elapsed().as_nanos()).unwrap_or(u32::MAX);
            measured.round_trips.push(nanoseconds);
        }
        Ok(())
    }

    fn pipelined(
        &self,
        requests: usize,
        in_flight: usize,
        measured: &mut Measured,
    ) -> Result<(), Failure> {
        let begin = Instant::now();
        let first = requests.min(in_flight);
        for _ in 0..first {
            self.send()?;
        }
        for received in 0..requests {
            self.receive()?;
            if received + first < requests {
                self.send()?;
            }
        }
        measured.pipelined += begin.elapsed();
        measured.requests += requests;
        Ok(())
    }

    fn send(&self) -> Result<(), Failure> {
        self.connection.socket().send(self.request, 0).map_err(|error| stopped(&error))
    }

    fn receive(&self) -> Result<(), Failure> {
        if Instant::now() >= self.until {
            return Err(Failure::uncertain(
                "the time is over; ask for fewer --requests, or give a longer --timeout",
            ));
        }
        let reply = self.connection.socket().recv_msg(0).map_err(|error| stopped(&error))?;
        if *reply == *self.reply { Ok(()) } else { Err(unexpected(&reply)) }
    }
}

fn stopped(error: &zmq::Error) -> Failure {
    Failure::uncertain(match error {
        zmq::Error::EAGAIN => "an answer is missing, and the time is over".to_owned(),
        error => format!("the measurement stopped: {error}"),
    })
}

/// Makes the socket block with a bound, and asks once, to see what the answer looks like.
fn first_reply(
    connection: &Connection,
    request: &[u8],
    until: Instant,
) -> Result<Vec<u8>, Failure> {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    let left = i32::try_from(left).unwrap_or(i32::MAX);
    let socket = connection.socket();
    let ask = || {
        socket.set_rcvtimeo(left)?;
        socket.set_sndtimeo(left)?;
        socket.send(request, 0)?;
        socket.recv_bytes(0)
    };
    let reply = ask().map_err(|error| stopped(&error))?;
    match Reply::decode(&reply).map(|reply| reply.answer) {
        Ok(Answer::Result(_)) => Ok(reply),
        _ => Err(unexpected(&reply)),
    }
}

fn unexpected(reply: &[u8]) -> Failure {
    match Reply::decode(reply).map(|reply| reply.answer) {
        Ok(Answer::Error(error)) if error.code == Code::RateLimited => Failure::refused(
            "the daemon limits requests, and would be measured waiting; start it with \
             MAX_REQUESTS_PER_MINUTE=0",
        ),
        Ok(answer @ Answer::Error(_)) => {
            let status = status::of(&answer, false);
            let Answer::Error(error) = answer else { return Failure::quiet(status) };
            Failure { status, message: status::words(&error) }
        }
        _ => Failure::uncertain("a reply is not the one that was expected"),
    }
}

/// Starts an echo on the same kind of transport, which ends with this process; returns its address.
fn start_echo(server: &str, reply: Vec<u8>) -> Result<String, Failure> {
    let address = match server.starts_with("ipc://") {
        // An abstract socket leaves no file behind.
        true => format!("ipc://@zcmd-bench-{}", std::process::id()),
        false => "tcp://127.0.0.1:*".to_owned(),
    };
    let listen = || {
        // The context has an I/O thread of its own, as the daemon has.
        let router = zmq::Context::new().socket(zmq::ROUTER)?;
        router.bind(&address)?;
        let bound = router.get_last_endpoint()?.unwrap_or_default();
        Ok((router, bound))
    };
    let (router, bound) = listen()
        .map_err(|error: zmq::Error| Failure::refused(format!("cannot start the echo: {error}")))?;
    std::thread::spawn(move || while echo(&router, &reply).is_ok() {});
    Ok(bound)
}

fn echo(router: &zmq::Socket, reply: &[u8]) -> zmq::Result<()> {
    let peer = router.recv_msg(0)?;
    while router.get_rcvmore()? {
        router.recv_msg(0)?;
    }
    router.send(peer, zmq::SNDMORE)?;
    router.send(reply, 0)
}
