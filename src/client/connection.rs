//! The connection to one daemon out of several.
//!
//! Promises: a request goes to one daemon, once, and only over a connection that stands. Nothing
//! here blocks past its deadline. A connection that breaks is noticed at once, not at the
//! deadline, and what the daemon had sent by then is still received.
//! Leaves out: what a reply means.

use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use crate::client::handshake::{Fault, News, tell_addresses};
use crate::client::settings::{Curve, Servers};
use crate::client::status::Failure;
use crate::client::trace;
use crate::limits;
use crate::protocol::reply::Reply;

/// A connection that stood when it was made.
pub struct Connection {
    socket: zmq::Socket,
    monitor: zmq::Socket,
    server: String,
    later: Servers,
    reply_bytes_max: usize,
    /// Once a server was there, why the handshake with it has failed if it does not succeed.
    fault: Option<Fault>,
    lost: bool,
}

/// A descriptor to wait for, besides the connection, and the events that matter.
pub type Watched = (RawFd, zmq::PollEvents);

/// A place in the list of what is waited for that waits for nothing: `poll` passes it over.
pub const NOTHING: Watched = (-1, zmq::POLLERR);

impl Connection {
    /// Connects to the first of `servers` that answers; gives up at the deadline, or when
    /// `interrupt` becomes readable. It breaks when a reply has more than `reply_bytes_max` bytes.
    ///
    /// # Errors
    /// Nobody answers, or an address is none.
    pub fn open(
        servers: &Servers,
        reply_bytes_max: usize,
        deadline: Instant,
        interrupt: Watched,
    ) -> Result<Self, Failure> {
        let context = zmq::Context::new();
        let (mut later, mut reached) = (servers.addresses.iter(), None);
        while let Some(server) = later.next() {
            let rest = Servers { addresses: later.as_slice().to_vec(), ..servers.clone() };
            let patience = Instant::now() + Duration::from_secs(limits::CONNECT_SECONDS);
            tell_addresses(server);
            for ipv6 in families(server) {
                let rest = rest.clone();
                let mut connection = Self::begin(&context, server, *ipv6, rest, reply_bytes_max)?;
                if connection.stands(deadline.min(patience), interrupt)? {
                    return Ok(connection);
                }
                let fault = connection.fault.map(|fault| (server, fault));
                reached = fault.or(reached);
            }
        }
        let what = match reached {
            Some((server, fault)) => {
                let why = fault.words(servers.curve.as_ref());
                format!("a server answers at {server}, and the handshake fails; {why}")
            }
            None => format!(
                "no daemon answers at {}; start zcmdd there, or name another server with --server \
                 or ZCMD_SERVER",
                servers.addresses.join(", ")
            ),
        };
        Err(Failure::unreachable(what))
    }

    /// Connects to the next server of the list, if there is one left that answers.
    ///
    /// # Errors
    /// As `open`.
    pub fn next(&self, deadline: Instant, interrupt: Watched) -> Option<Result<Self, Failure>> {
        let open = || Self::open(&self.later, self.reply_bytes_max, deadline, interrupt);
        (!self.later.addresses.is_empty()).then(open)
    }

    fn begin(
        context: &zmq::Context,
        server: &str,
        ipv6: bool,
        later: Servers,
        reply_bytes_max: usize,
    ) -> Result<Self, Failure> {
        let prepare = || {
            let socket = context.socket(zmq::DEALER)?;
            // Never again: a request must not wait in silence for a daemon that may come back.
            // ZMQ_IMMEDIATE would do that, too, but it throws away replies that have come when
            // the daemon leaves after its answer.
            socket.set_reconnect_ivl(i32::MAX)?;
            socket.set_linger(limits::CLIENT_LINGER_MS)?;
            socket.set_handshake_ivl(limits::HANDSHAKE_MS_MAX)?;
            // ZMTP's own heartbeats would end the connection of a stream whose reader pauses: what
            // has come waits in front of the answer to the heartbeat.
            socket.set_tcp_keepalive(1)?;
            let [idle, interval, count] = limits::CLIENT_KEEPALIVE;
            socket.set_tcp_keepalive_idle(idle)?;
            socket.set_tcp_keepalive_intvl(interval)?;
            socket.set_tcp_keepalive_cnt(count)?;
            socket.set_sndhwm(limits::PEER_MESSAGES_MAX)?;
            let messages = i32::try_from(limits::RECEIVED_BYTES_MAX / reply_bytes_max.max(1));
            socket.set_rcvhwm(messages.unwrap_or(i32::MAX).clamp(1, limits::PEER_MESSAGES_MAX))?;
            socket.set_maxmsgsize(i64::try_from(reply_bytes_max).unwrap_or(i64::MAX))?;
            socket.set_ipv6(ipv6)?;
            if let Some(Curve { server, own: [secret, public] }) = &later.curve {
                socket.set_curve_serverkey(&server.0)?;
                socket.set_curve_secretkey(&secret.0)?;
                socket.set_curve_publickey(&public.0)?;
            }
            let monitor = context.socket(zmq::PAIR)?;
            let news = format!("inproc://news-{}-{ipv6}", later.addresses.len());
            socket.monitor(&news, zmq::SocketEvent::ALL.to_raw().into())?;
            monitor.connect(&news)?;
            Ok((socket, monitor))
        };
        let (socket, monitor) = prepare().map_err(|error: zmq::Error| {
            Failure::refused(format!("cannot prepare a connection: {error}"))
        })?;
        socket.connect(server).map_err(|error| {
            Failure::refused(format!("cannot connect to {server}: {error}; check the address"))
        })?;
        let (server, fault, lost) = (server.to_owned(), None, false);
        Ok(Self { socket, monitor, server, later, reply_bytes_max, fault, lost })
    }

    /// Waits until the connection stands; false when it does not come to stand.
    fn stands(&mut self, deadline: Instant, interrupt: Watched) -> Result<bool, Failure> {
        while Instant::now() < deadline {
            let monitor = self.monitor.as_poll_item(zmq::POLLIN);
            let mut items = [monitor, zmq::PollItem::from_fd(interrupt.0, interrupt.1)];
            poll(&mut items, deadline)?;
            if items.iter().skip(1).any(|item| item.is_readable()) {
                return Err(Failure::quiet(crate::client::status::INTERRUPTED));
            }
            while let Some(news) = self.news() {
                match news {
                    News::Connected => {
                        let curve = if self.later.curve.is_some() { "CURVE" } else { "no CURVE" };
                        trace::tell(|| format!("the handshake is done, with {curve}"));
                        return Ok(true);
                    }
                    News::Away => {
                        trace::tell(|| format!("{} takes no connection", self.server));
                        return Ok(false);
                    }
                    News::Failed(fault) => {
                        trace::tell(|| "the handshake fails".to_owned());
                        self.fault = Some(fault);
                        return Ok(false);
                    }
                    News::Broken => return Ok(false),
                    News::Reached => {
                        trace::tell(|| format!("{} takes the connection", self.server));
                        self.fault = Some(Fault::NoDaemon);
                    }
                    News::Other => {}
                }
            }
        }
        Ok(false)
    }

    /// The next news of the connection, if there is any.
    fn news(&self) -> Option<News> {
        let frames = self.monitor.recv_multipart(zmq::DONTWAIT).ok()?;
        News::read(frames.first()?)
    }

    /// The address of the daemon.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Sends one request, waiting for room until the deadline.
    ///
    /// # Errors
    /// It is larger than a daemon takes, or cannot be sent. It was not.
    pub fn send(&mut self, body: &[u8], deadline: Instant) -> Result<(), Failure> {
        if body.len() > limits::MESSAGE_BYTES_MAX {
            return Err(Failure::refused(format!(
                "the request has {} bytes; a daemon takes {}: shorten its input",
                body.len(),
                limits::MESSAGE_BYTES_MAX
            )));
        }
        loop {
            match self.socket.send(body, zmq::DONTWAIT) {
                Ok(()) => {
                    trace::tell(|| format!("{} bytes are sent", body.len()));
                    return Ok(());
                }
                Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => {}
                Err(error) => return Err(Failure::refused(format!("cannot send: {error}"))),
            }
            self.read_news();
            if self.lost || Instant::now() >= deadline {
                let why = if self.lost { "broke" } else { "takes nothing" };
                return Err(Failure::unreachable(format!(
                    "the connection to {} {why}; the request was not sent",
                    self.server
                )));
            }
            let monitor = self.monitor.as_poll_item(zmq::POLLIN);
            poll(&mut [self.socket.as_poll_item(zmq::POLLOUT), monitor], deadline)?;
        }
    }

    /// The next reply and its body, if one has come.
    ///
    /// # Errors
    /// The connection is broken, and nothing more will come; or what came is no reply.
    pub fn receive(&mut self) -> Result<Option<(zmq::Message, Reply)>, Failure> {
        let Some(body) = self.body()? else { return Ok(None) };
        trace::tell(|| format!("{} bytes have come", body.len()));
        let reply = Reply::decode(&body).map_err(|fault| {
            Failure::uncertain(format!("what came is no reply of a daemon: {fault}"))
        })?;
        Ok(Some((body, reply)))
    }

    fn body(&mut self) -> Result<Option<zmq::Message>, Failure> {
        let mut frames = 0;
        loop {
            match self.socket.recv_msg(zmq::DONTWAIT) {
                // The body is the last frame; before it, others may add an envelope.
                Ok(body) => {
                    frames += 1;
                    if !body.get_more() {
                        return Ok(Some(body));
                    }
                    if frames >= limits::MESSAGE_FRAMES_MAX {
                        return Err(Failure::uncertain(format!(
                            "what came is no reply of a daemon: more than {frames} frames"
                        )));
                    }
                }
                Err(zmq::Error::EINTR) => {}
                Err(zmq::Error::EAGAIN) if self.lost => {
                    return Err(Failure::uncertain(format!(
                        "the connection to {} broke before the answer came; what was asked may \
                         or may not have been done",
                        self.server
                    )));
                }
                Err(zmq::Error::EAGAIN) => return Ok(None),
                Err(error) => return Err(Failure::uncertain(format!("cannot receive: {error}"))),
            }
        }
    }

    /// Waits until a reply has come, the connection is broken, something that is watched is
    /// ready, or the deadline has come; tells which of the watched are ready.
    ///
    /// # Errors
    /// The machine cannot wait.
    pub fn wait<const N: usize>(
        &mut self,
        deadline: Instant,
        watched: [Watched; N],
    ) -> Result<[bool; N], Failure> {
        let mut ready = [false; N];
        if self.lost {
            return Ok(ready);
        }
        let mut items = Vec::with_capacity(N + 2);
        items.push(self.socket.as_poll_item(zmq::POLLIN));
        items.push(self.monitor.as_poll_item(zmq::POLLIN));
        items.extend(watched.iter().map(|(fd, events)| zmq::PollItem::from_fd(*fd, *events)));
        poll(&mut items, deadline)?;
        for (ready, item) in ready.iter_mut().zip(items.iter().skip(2)) {
            *ready = !item.get_revents().is_empty();
        }
        self.read_news();
        Ok(ready)
    }

    fn read_news(&mut self) {
        while let Some(news) = self.news() {
            self.lost |= news == News::Broken;
        }
    }

    /// The socket itself, for measurements that must not measure this file.
    pub fn socket(&self) -> &zmq::Socket {
        &self.socket
    }
}

/// How to look for a server: with IPv6 or without. For a name, without it first: with it, libzmq
/// takes an IPv6 address where there is one, and a daemon may listen at the other one only.
fn families(server: &str) -> &'static [bool] {
    let host = server.strip_prefix("tcp://").and_then(|place| place.rsplit_once(':'));
    match host {
        Some((host, _)) if host.starts_with('[') => &[true],
        Some((host, _)) if host.parse::<Ipv4Addr>().is_err() => &[false, true],
        _ => &[false],
    }
}

/// Waits for any of `items` until the deadline. A signal ends the wait early.
///
/// # Errors
/// The machine cannot wait.
pub fn poll(items: &mut [zmq::PollItem<'_>], deadline: Instant) -> Result<(), Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = i64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
    match zmq::poll(items, milliseconds) {
        Ok(_) | Err(zmq::Error::EINTR) => Ok(()),
        Err(error) => Err(Failure::uncertain(format!("cannot wait: {error}"))),
    }
}
