//! The connection to one daemon out of several.
//!
//! Promises: a request goes to one daemon, once, and only over a connection that stands. Nothing
//! here blocks past its deadline. A connection that breaks is noticed at once, not at the
//! deadline, and what the daemon had sent by then is still received.
//! Leaves out: what a reply means.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::client::connecting::{Connecting, Route};
use crate::client::handshake::{Fault, News, tell_addresses};
use crate::client::settings::{Curve, Servers};
use crate::client::status::Failure;
use crate::client::trace;
use crate::limits;
use crate::protocol::reply::Reply;

/// Monitors so far: each has an address of its own.
static MONITORS: AtomicU64 = AtomicU64::new(0);

/// A connection: one that stands, or an attempt of `Connecting`.
pub struct Connection {
    socket: zmq::Socket,
    monitor: zmq::Socket,
    server: String,
    /// The way to the servers after this one.
    later: Route,
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
    /// No daemon answers, or an address is wrong.
    pub fn open(
        servers: &Servers,
        reply_bytes_max: usize,
        deadline: Instant,
        interrupt: Watched,
    ) -> Result<Self, Failure> {
        let (context, servers) = (zmq::Context::new(), servers.clone());
        servers.addresses.iter().for_each(|server| tell_addresses(server));
        let held_bytes_max = limits::RECEIVED_BYTES_MAX;
        let route = Route { context, servers, reply_bytes_max, held_bytes_max };
        Connecting::begin(route)?.finish(deadline, interrupt)
    }

    /// The way to the next server of the list, if one is left.
    pub fn next(&self) -> Option<Result<Connecting, Failure>> {
        let is_left = !self.later.servers.addresses.is_empty();
        is_left.then(|| Connecting::begin(self.later.clone()))
    }

    /// Begins to connect to a server; `later` is the way to those after it.
    ///
    /// # Errors
    /// The address is none, or the machine has no room for a connection.
    pub fn begin(server: &str, ipv6: bool, later: Route) -> Result<Self, Failure> {
        let Route { context, servers, reply_bytes_max, held_bytes_max } = &later;
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
            let messages = i32::try_from(held_bytes_max / reply_bytes_max.max(&1));
            socket.set_rcvhwm(messages.unwrap_or(i32::MAX).clamp(1, limits::PEER_MESSAGES_MAX))?;
            socket.set_maxmsgsize(i64::try_from(*reply_bytes_max).unwrap_or(i64::MAX))?;
            socket.set_ipv6(ipv6)?;
            if let Some(Curve { server, own: [secret, public] }) = &servers.curve {
                socket.set_curve_serverkey(&server.0)?;
                socket.set_curve_secretkey(&secret.0)?;
                socket.set_curve_publickey(&public.0)?;
            }
            let monitor = context.socket(zmq::PAIR)?;
            let number = MONITORS.fetch_add(1, Ordering::Relaxed);
            let news = format!("inproc://news-{number}");
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
        Ok(Self { socket, monitor, server, later, fault, lost })
    }

    /// Whether the connection stands; none as long as that is open.
    pub fn stands(&mut self) -> Option<bool> {
        while let Some(news) = self.news() {
            match news {
                News::Connected => {
                    let is_curve = self.later.servers.curve.is_some();
                    let curve = if is_curve { "CURVE" } else { "no CURVE" };
                    trace::tell(|| format!("the handshake is done, with {curve}"));
                    return Some(true);
                }
                News::Away => {
                    trace::tell(|| format!("{} takes no connection", self.server));
                    return Some(false);
                }
                News::Failed(fault) => {
                    trace::tell(|| "the handshake fails".to_owned());
                    self.fault = Some(fault);
                    return Some(false);
                }
                News::Broken => return Some(false),
                News::Reached => {
                    trace::tell(|| format!("{} takes the connection", self.server));
                    self.fault = Some(Fault::NoDaemon);
                }
                News::Other => {}
            }
        }
        None
    }

    /// Why the handshake fails, with the address; none if no server took the connection.
    pub fn fault(&self) -> Option<(String, Fault)> {
        self.fault.map(|fault| (self.server.clone(), fault))
    }

    /// The next news of the connection, if there is any.
    fn news(&self) -> Option<News> {
        let frames = self.monitor.recv_multipart(zmq::DONTWAIT).ok()?;
        News::read(frames.first()?)
    }

    /// What owns the sockets. As long as it is kept, to drop the connection waits for nothing.
    pub fn context(&self) -> zmq::Context {
        self.later.context.clone()
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
        items.extend(self.items());
        items.extend(watched.iter().map(|(fd, events)| zmq::PollItem::from_fd(*fd, *events)));
        poll(&mut items, deadline)?;
        for (ready, item) in ready.iter_mut().zip(items.iter().skip(2)) {
            *ready = !item.get_revents().is_empty();
        }
        self.read_news();
        Ok(ready)
    }

    /// What to wait for before the next reply.
    pub fn items(&self) -> [zmq::PollItem<'_>; 2] {
        [self.socket.as_poll_item(zmq::POLLIN), self.news_item()]
    }

    /// What to wait for before the next news of the connection.
    pub fn news_item(&self) -> zmq::PollItem<'_> {
        self.monitor.as_poll_item(zmq::POLLIN)
    }

    /// Learns whether the connection is broken.
    pub fn read_news(&mut self) {
        while let Some(news) = self.news() {
            self.lost |= news == News::Broken;
        }
    }

    /// The socket itself, for measurements that must not measure this file.
    pub fn socket(&self) -> &zmq::Socket {
        &self.socket
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
