//! A load generator that knows what the machine itself can do.
//!
//! Promises: the daemon and a bare ROUTER that echoes are driven by the same lines of this file,
//! over the same kind of socket, with requests and replies of the same bytes, in turn; the echo
//! is a process of its own, as the daemon is.
//! Leaves out: commands, whose cost is that of their programs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::connection::{Connection, NOTHING};
use crate::client::lines::{Line, Lines};
use crate::client::settings::{Servers, Settings};
use crate::client::status::{self, Failure};
use crate::client::text;
use crate::limits;
use crate::protocol::reply::{Answer, Code, Reply};
use crate::protocol::request::{Ask, Id, Request};

/// The argument that makes the client an echo.
pub const ECHO: &str = "bench-echo";

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

/// The echo, ended when this is dropped.
struct Echo {
    child: Child,
    path: Option<String>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.path.as_ref().map(std::fs::remove_file);
    }
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
        let (_echo, address) = start_echo(daemon.server(), &reply)?;
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

/// Starts this program again as an echo on the same kind of transport; returns its address.
fn start_echo(server: &str, reply: &[u8]) -> Result<(Echo, String), Failure> {
    let path = server.starts_with("ipc://").then(|| {
        let name = format!("zcmd-bench-{}.sock", std::process::id());
        std::env::temp_dir().join(name).display().to_string()
    });
    let address = match &path {
        Some(path) => format!("ipc://{path}"),
        None => "tcp://127.0.0.1:*".to_owned(),
    };
    let failed = |error: io::Error| Failure::refused(format!("cannot start the echo: {error}"));
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .arg(ECHO)
        .env_remove("ZCMD_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let pipes = (child.stdin.take(), child.stdout.take());
    let mut echo = Echo { child, path };
    let (Some(mut stdin), Some(stdout)) = pipes else {
        return Err(Failure::refused("cannot start the echo: it has no pipes"));
    };
    stdin.write_all(&[address.as_bytes(), b"\n", reply, b"\n"].concat()).map_err(failed)?;
    // The echo ends when this pipe is closed, even if this process is killed.
    echo.child.stdin = Some(stdin);
    let mut bound = String::new();
    let within = limits::LINE_BYTES_MAX as u64;
    BufReader::new(stdout.take(within)).read_line(&mut bound).map_err(failed)?;
    match bound.trim_end() {
        "" => Err(Failure::refused("cannot start the echo: it ended")),
        bound => Ok((echo, bound.to_owned())),
    }
}

/// Is the echo: reads an address and a reply from standard input, says where it listens, and
/// answers everything with that reply until standard input is closed.
///
/// # Errors
/// Standard input is not that, or the address cannot be used.
pub fn echo() -> Result<u8, Failure> {
    let mut lines = Lines::new(crate::client::lines::Stdin);
    let mut line = || loop {
        match lines.take() {
            Some(Line::Text(line)) => return Ok(line),
            None if !lines.ended() => {
                lines.fill().map_err(|error| Failure::refused(format!("cannot read: {error}")))?
            }
            _ => return Err(Failure::refused("the echo is started by zcmd bench only")),
        }
    };
    let (address, reply) = (line()?, line()?);
    let listen = || {
        let router = zmq::Context::new().socket(zmq::ROUTER)?;
        router.set_linger(0)?;
        router.bind(&address)?;
        let bound = router.get_last_endpoint()?.unwrap_or_default();
        Ok((router, bound))
    };
    let (router, bound) = listen().map_err(|error| stopped(&error))?;
    writeln!(io::stdout(), "{bound}").map_err(|error| text::unwritten(&error))?;
    std::thread::spawn(move || {
        while !lines.ended() && lines.fill().is_ok() {}
        std::process::exit(i32::from(status::DONE));
    });
    let answer = || {
        let peer = router.recv_msg(0)?;
        while router.get_rcvmore()? {
            router.recv_msg(0)?;
        }
        router.send(peer, zmq::SNDMORE)?;
        router.send(reply.as_bytes(), 0)
    };
    loop {
        answer().map_err(|error| stopped(&error))?;
    }
}
