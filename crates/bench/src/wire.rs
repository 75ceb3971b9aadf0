//! One kind of request to two servers in turn: latency, throughput, processor time.
//!
//! Promises: both are measured by the same code, over the same kind of socket, with requests and
//! replies of the same bytes; each reply is compared with the expected one.
//! Leaves out: commands, whose cost is that of their programs.

use std::time::{Duration, Instant};

use zcmd::client::connection::{Connection, NOTHING};
use zcmd::client::settings::Servers;
use zcmd::client::status::{self, Failure};
use zcmd::limits;
use zcmd::protocol::reply::{Answer, Code, Reply};
use zcmd::protocol::request::{Ask, Id, Request};

use crate::Plan;
use crate::server::cpu;
use crate::table::Row;

/// Divisor of the number of requests for the part without concurrency.
const LOCK_STEP_SHARE: usize = 10;

/// A connection to a server, and its request.
pub(crate) struct Target<'a> {
    connection: Connection,
    plan: &'a Plan,
    request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
    /// The server's process, if this run started it.
    pid: Option<u32>,
}

impl<'a> Target<'a> {
    /// Connects and asks for `2*(3+4)` once, to learn the expected reply.
    pub(crate) fn open(
        servers: &Servers,
        token: &str,
        pid: Option<u32>,
        plan: &'a Plan,
    ) -> Result<Self, Failure> {
        plan.check()?;
        let ask = Ask::Compute { expression: "2*(3+4)".to_owned(), variables: Vec::new() };
        let request = Request { id: Some(Id::Number(1)), token: token.to_owned(), ask }.encode();
        let bytes_max = limits::VALUE_REPLY_BYTES_MAX;
        let connection = Connection::open(servers, bytes_max, plan.until, NOTHING)?;
        let left = plan.until.saturating_duration_since(Instant::now()).as_millis();
        let left = i32::try_from(left).unwrap_or(i32::MAX);
        let socket = connection.socket();
        let bounded = socket.set_rcvtimeo(left).and_then(|()| socket.set_sndtimeo(left));
        bounded.map_err(|error| stopped(&error))?;
        let mut target = Self { connection, plan, request, reply: Vec::new(), pid };
        target.reply = target.ask(&target.request)?;
        match Reply::decode(&target.reply).map(|reply| reply.answer) {
            Ok(Answer::Result(_)) => Ok(target),
            _ => Err(unexpected(&target.reply)),
        }
    }

    /// The address of the server.
    pub(crate) fn server(&self) -> &str {
        self.connection.server()
    }

    /// Sends any request, and receives the next reply.
    pub(crate) fn ask(&self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        self.send(request)?;
        self.connection.socket().recv_bytes(0).map_err(|error| stopped(&error))
    }

    pub(crate) fn send(&self, request: &[u8]) -> Result<(), Failure> {
        self.connection.socket().send(request, 0).map_err(|error| stopped(&error))
    }

    fn receive(&self) -> Result<(), Failure> {
        self.plan.check()?;
        let reply = self.connection.socket().recv_msg(0).map_err(|error| stopped(&error))?;
        if *reply == *self.reply { Ok(()) } else { Err(unexpected(&reply)) }
    }

    /// Checks that the server still gives the expected reply.
    pub(crate) fn answers(&self) -> Result<(), Failure> {
        self.send(&self.request)?;
        self.receive()
    }

    /// The median round trip, without concurrency.
    fn lock_step(&self) -> Result<Duration, Failure> {
        let mut trips = Vec::new();
        for _ in 0..self.plan.requests.div_ceil(LOCK_STEP_SHARE) {
            let begin = Instant::now();
            self.answers()?;
            trips.push(begin.elapsed());
        }
        trips.sort_unstable();
        Ok(trips.get(trips.len() / 2).copied().unwrap_or_default())
    }

    /// The time for all requests, several in flight.
    fn in_flight(&self) -> Result<Duration, Failure> {
        let begin = Instant::now();
        let first = self.plan.requests.min(self.plan.in_flight);
        for _ in 0..first {
            self.send(&self.request)?;
        }
        for received in 0..self.plan.requests {
            self.receive()?;
            if received + first < self.plan.requests {
                self.send(&self.request)?;
            }
        }
        Ok(begin.elapsed())
    }

    /// Requests a second, median microseconds of a round trip, and, for a server of this run,
    /// microseconds of processor time for each request in flight.
    fn round(&self) -> Result<[Option<f64>; 3], Failure> {
        let lock_step = self.lock_step()?;
        let before = self.pid.map(cpu).transpose()?;
        let took = self.in_flight()?;
        let after = self.pid.map(cpu).transpose()?;
        let requests = self.plan.requests as f64;
        let cpu = before.zip(after).map(|(before, after)| (after - before) / requests / 1e3);
        Ok([Some(requests / took.as_secs_f64()), Some(lock_step.as_secs_f64() * 1e6), cpu])
    }
}

/// Measures both in turn, and calls `after` at the end of each round.
pub(crate) fn alternate(
    plan: &Plan,
    [baseline, daemon]: [&Target<'_>; 2],
    mut after: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Row>, Failure> {
    let in_flight = format!("{} in flight", plan.in_flight);
    let mut rows = vec![
        Row::new(in_flight, "requests/s"),
        Row::new("one at a time", "µs"),
        Row::new("processor time a request", "µs"),
    ];
    for _ in 0..plan.rounds {
        let (baseline, daemon) = (baseline.round()?, daemon.round()?);
        for (row, (baseline, daemon)) in rows.iter_mut().zip(baseline.into_iter().zip(daemon)) {
            if let (Some(baseline), Some(daemon)) = (baseline, daemon) {
                row.pair(baseline, daemon);
            }
        }
        after()?;
    }
    rows.retain(|row| !row.is_empty());
    Ok(rows)
}

fn stopped(error: &zmq::Error) -> Failure {
    Failure::uncertain(match error {
        zmq::Error::EAGAIN => "a reply is missing, and the time is over".to_owned(),
        error => format!("the measurement stopped: {error}"),
    })
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
            Failure { status, ..Failure::answered(&error, false, status::words(&error)) }
        }
        _ => Failure::uncertain("a reply is not the one that was expected"),
    }
}
