//! One request, from its first byte to its last reply.
//!
//! Promises: SIGTERM and SIGHUP are to a command what Ctrl-C is. A command whose reader has left,
//! whose caller pressed Ctrl-C or whose time is over is cancelled at the daemon. Replies to other
//! requests are passed over; however many come, the deadline and Ctrl-C are heeded. A reply that
//! contradicts the request, or what came before, is an error.
//! Leaves out: what is asked, and many requests at a time; what is printed, which is `print`.

mod print;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::client::connecting::Connecting;
use crate::client::connection::{Connection, NOTHING, Watched};
use crate::client::frames::Frames;
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::{deadline, fresh_id};
use crate::limits;
use crate::port::OutputBytes;
use crate::protocol::reply::{Answer, Code, Error, Reply};
use crate::protocol::request::{Ask, Request};
use crate::system::signals::Signals;

/// A request under way.
pub struct Conversation<'a> {
    connection: Connection,
    settings: &'a Settings,
    signals: Option<&'a Signals>,
    request: Request,
    /// When to give up.
    until: Instant,
    /// The exit status, once the command was told to end.
    ending: Option<u8>,
    /// Bytes written to standard output and standard error.
    written: OutputBytes,
    /// Whether standard output does not matter: it has no reader any more, or nothing is printed.
    unread: bool,
    /// Whether the command wrote something.
    streamed: bool,
    /// What a watch has shown.
    frames: Frames,
}

impl<'a> Conversation<'a> {
    /// Connects, and asks.
    ///
    /// # Errors
    /// No daemon answers, or the request cannot be sent. Nothing was done.
    pub fn open(
        settings: &'a Settings,
        request: Request,
        signals: Option<&'a Signals>,
    ) -> Result<Self, Failure> {
        let bytes_max = match &request.ask {
            Ask::Os(os) if !os.stream => limits::REPLY_BYTES_MAX,
            _ => limits::SHORT_REPLY_BYTES_MAX,
        };
        Self::begin(settings, request, signals, bytes_max)
    }

    /// The same for a caller that does not print the answers, which are short.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_quietly(
        settings: &'a Settings,
        request: Request,
        signals: Option<&'a Signals>,
    ) -> Result<Self, Failure> {
        let bytes_max = limits::SHORT_REPLY_BYTES_MAX;
        Ok(Self { unread: true, ..Self::begin(settings, request, signals, bytes_max)? })
    }

    fn begin(
        settings: &'a Settings,
        request: Request,
        signals: Option<&'a Signals>,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let until = deadline(settings);
        let connection = Connection::open(&settings.servers, bytes_max, until, watch(signals));
        let mut connection = connection.map_err(|failure| interrupted(failure, signals))?;
        connection.send(&request.encode(), until)?;
        Ok(Self {
            connection,
            settings,
            signals,
            request,
            until,
            ending: None,
            written: OutputBytes::default(),
            unread: false,
            streamed: false,
            frames: Frames::default(),
        })
    }

    /// Asks something else over the same connection, in the time of a request of its own.
    ///
    /// # Errors
    /// The request cannot be sent.
    pub fn ask_next(&mut self, ask: Ask) -> Result<(), Failure> {
        self.request.ask = ask;
        self.until = deadline(self.settings);
        self.connection.send(&self.request.encode(), self.until)
    }

    /// The last reply, unless the command was told to end.
    ///
    /// # Errors
    /// No last reply came; or Ctrl-C.
    pub fn answer(&mut self) -> Result<Answer, Failure> {
        let (_, answer) = self.last()?;
        self.ending.map_or(Ok(answer), |status| Err(Failure::quiet(status)))
    }

    /// Takes replies to the last one, printing output on the way.
    ///
    /// # Errors
    /// No last reply came, or output could not be written.
    pub fn last(&mut self) -> Result<(zmq::Message, Answer), Failure> {
        loop {
            for _ in 0..limits::MESSAGES_PER_TURN {
                let Some((body, reply)) = self.connection.receive()? else { break };
                if let Some(answer) = self.take(&body, reply)? {
                    return Ok((body, answer));
                }
            }
            self.wait()?;
        }
    }

    /// Takes one reply; gives the last one.
    fn take(&mut self, body: &[u8], reply: Reply) -> Result<Option<Answer>, Failure> {
        match answer_to(&self.request, self.streamed, reply)? {
            Some(Answer::Output { stream, bytes }) => {
                self.streamed = true;
                self.write_output(stream, &bytes)?;
                self.check_deadline()?;
                Ok(None)
            }
            Some(Answer::Event(json)) => {
                self.present_frame(body, &json)?;
                Ok(None)
            }
            Some(Answer::Error(error)) if self.elsewhere(&error)? => Ok(None),
            answer => Ok(answer),
        }
    }

    fn is_os(&self) -> bool {
        matches!(self.request.ask, Ask::Os(_))
    }

    /// Whether the daemon goes on until it is told to end.
    fn lasts(&self) -> bool {
        matches!(self.request.ask, Ask::Os(_) | Ask::Watch { .. })
    }

    /// Asks the next server, if this one drains and did nothing.
    fn elsewhere(&mut self, error: &Error) -> Result<bool, Failure> {
        if !sends_on(error) || self.ending.is_some() {
            return Ok(false);
        }
        let interrupt = watch(self.signals);
        let finish = |next: Connecting| next.finish(self.until, interrupt);
        match self.connection.next().map(|next| next.and_then(finish)) {
            Some(Ok(connection)) => {
                self.connection = connection;
                self.connection.send(&self.request.encode(), self.until)?;
                Ok(true)
            }
            Some(Err(failure)) if failure.status == status::INTERRUPTED => {
                Err(interrupted(failure, self.signals))
            }
            Some(Err(_)) | None => Ok(false),
        }
    }

    /// Waits for a reply; heeds Ctrl-C, the deadline, and a reader that leaves.
    fn wait(&mut self) -> Result<(), Failure> {
        let stdout = match self.lasts() && !self.unread {
            true => (io::stdout().as_raw_fd(), zmq::POLLERR),
            false => NOTHING,
        };
        let [signal, unread] = self.connection.wait(self.until, [watch(self.signals), stdout])?;
        if signal {
            self.interrupt()?;
        }
        if unread {
            self.unread()?;
        }
        self.check_deadline()
    }

    fn check_deadline(&mut self) -> Result<(), Failure> {
        if Instant::now() < self.until {
            return Ok(());
        }
        if let Some(status) = self.ending {
            let message = "the daemon did not confirm that the command has ended";
            return Err(Failure { status, ..Failure::uncertain(message) });
        }
        let cancelled = match self.cancel() {
            true if self.is_os() => "; the daemon was told to end the command",
            true => "; the daemon was told to end the watch",
            false => "",
        };
        Err(Failure::uncertain(format!(
            "no answer from {} within {} s{cancelled}; --timeout SECONDS sets another limit",
            self.connection.server(),
            self.settings.timeout.as_secs_f64()
        )))
    }

    /// Ctrl-C and the like: the first one ends the command, the second one ends this.
    fn interrupt(&mut self) -> Result<(), Failure> {
        let Some(signals) = self.signals else { return Ok(()) };
        let count = signals.gather();
        if count == 0 {
            return Ok(());
        }
        let status = status::of_interrupt(signals);
        if self.ending.is_some() || count > 1 || !self.is_os() {
            self.cancel();
            return Err(Failure::quiet(status));
        }
        self.end(status);
        Ok(())
    }

    /// The reader of standard output has left: a command without a reader has no purpose.
    fn unread(&mut self) -> Result<(), Failure> {
        self.unread = true;
        if !self.is_os() {
            self.cancel();
            return Err(Failure::quiet(status::UNREAD));
        }
        if self.ending.is_none() {
            self.end(status::UNREAD);
        }
        Ok(())
    }

    /// Tells the daemon to end the command, and gives it a moment to say how it ended.
    fn end(&mut self, status: u8) {
        self.cancel();
        self.ending = Some(status);
        self.until = Instant::now() + Duration::from_secs(limits::CANCEL_SECONDS);
    }

    /// Sends a `cancel`, if there is a command to end; says whether it was sent.
    fn cancel(&mut self) -> bool {
        cancel(&mut self.connection, &self.request)
    }
}

/// The answer of a reply, if it is one to this request. `streamed`: whether output came before.
///
/// # Errors
/// It contradicts the request, or what came before.
pub fn answer_to(
    request: &Request,
    streamed: bool,
    Reply { id, answer }: Reply,
) -> Result<Option<Answer>, Failure> {
    if id.is_some() && id != request.id {
        return Ok(None);
    }
    // A daemon that could not read the request could not read its id either.
    if !answer.answers(&request.ask) || id.is_none() && !matches!(answer, Answer::Error(_)) {
        return Err(Failure::uncertain("what came is no reply to what was asked"));
    }
    match answer {
        Answer::Error(error) if streamed && error.ran.is_none() && error.executed != Some(true) => {
            let what = format!("output came, and then an error that denies it: {}", error.message);
            Err(Failure::uncertain(what))
        }
        answer => Ok(Some(answer)),
    }
}

/// Whether a daemon drains and did nothing, so that the next server may be asked.
pub fn sends_on(error: &Error) -> bool {
    error.code == Code::ShuttingDown && error.executed != Some(true)
}

/// Sends a `cancel`, if the request is one for a command or a watch; says whether it was sent.
pub fn cancel(connection: &mut Connection, request: &Request) -> bool {
    let (Ask::Os(_) | Ask::Watch { .. }, Some(target)) = (&request.ask, request.id.clone()) else {
        return false;
    };
    let token = request.token.clone();
    let cancel = Request {
        id: Some(fresh_id()),
        token,
        ask: Ask::Cancel { target: Some(target), job: None },
    };
    connection.send(&cancel.encode(), Instant::now()).is_ok()
}

/// The failure of a connection that a signal ended, with the status of that signal.
fn interrupted(failure: Failure, signals: Option<&Signals>) -> Failure {
    match (failure.status, signals) {
        (status::INTERRUPTED, Some(signals)) => Failure::quiet(status::of_interrupt(signals)),
        _ => failure,
    }
}

/// What to wait for to learn of Ctrl-C.
pub fn watch(signals: Option<&Signals>) -> Watched {
    signals.map_or(NOTHING, |signals| (signals.descriptor(), zmq::POLLIN))
}
