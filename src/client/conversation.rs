//! One request, from its first byte to its last reply.
//!
//! Promises: what a command writes goes out byte for byte as it comes. No write blocks past the
//! deadline or past Ctrl-C, which SIGTERM and SIGHUP are to a command as well. A command whose
//! reader has left, whose caller pressed Ctrl-C or whose time is over is cancelled at the daemon,
//! never just forgotten. Output that was cut is
//! announced with its true size. Replies to other requests are passed over; however many come, the
//! deadline and Ctrl-C are heeded. A reply that contradicts the request, or what came before, is
//! none.
//! Leaves out: what is asked, and many requests at a time.

use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::client::connecting::Connecting;
use crate::client::connection::{Connection, NOTHING, Watched, poll};
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::{again, catalogue, deadline, fresh_id, own_token, text};
use crate::limits;
use crate::port::{Ended, OutputBytes, Stream};
use crate::protocol::reply::{Answer, Code, Error, Ran, Reply};
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

    /// Prints the last reply, and returns the exit status.
    ///
    /// # Errors
    /// It could not be written; or it is an error after which the same may be tried again, if the
    /// caller would (`again`).
    pub fn finish(mut self, body: &[u8], answer: &Answer, again: bool) -> Result<u8, Failure> {
        if let (true, None, Answer::Error(error)) = (again, self.ending, answer) {
            let words = own_token::words(error, &self.request.token);
            let failure = Failure::answered(error, self.is_os(), words);
            if again::is_for_again(&failure, self.until) {
                return Err(failure);
            }
        }
        if self.settings.json {
            self.write(Stream::Stdout, body)?;
            self.write(Stream::Stdout, b"\n")?;
        } else {
            self.present(answer)?;
        }
        Ok(self.ending.unwrap_or(status::of(answer, self.is_os())))
    }

    /// Takes replies to the last one, printing output on the way.
    ///
    /// # Errors
    /// No last reply came, or output could not be written.
    pub fn last(&mut self) -> Result<(zmq::Message, Answer), Failure> {
        loop {
            for _ in 0..limits::MESSAGES_PER_TURN {
                let Some((body, reply)) = self.connection.receive()? else { break };
                if let Some(answer) = self.take(reply)? {
                    return Ok((body, answer));
                }
            }
            self.wait()?;
        }
    }

    /// Takes one reply; gives the last one.
    fn take(&mut self, reply: Reply) -> Result<Option<Answer>, Failure> {
        match answer_to(&self.request, self.streamed, reply)? {
            Some(Answer::Output { stream, bytes }) => {
                self.streamed = true;
                self.write(stream, &bytes)?;
                self.check_deadline()?;
                Ok(None)
            }
            Some(Answer::Error(error)) if self.elsewhere(&error)? => Ok(None),
            answer => Ok(answer),
        }
    }

    fn is_os(&self) -> bool {
        matches!(self.request.ask, Ask::Os(_))
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
        let stdout = match self.is_os() && !self.unread {
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
            true => "; the daemon was told to end the command",
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

    /// Prints the last reply.
    fn present(&mut self, answer: &Answer) -> Result<(), Failure> {
        match answer {
            Answer::Result(json) | Answer::Number(json) => {
                let shown = catalogue::show(&self.request.ask, json).map_err(|fault| {
                    Failure::uncertain(format!("the answer makes no sense: {fault}"))
                })?;
                self.write(Stream::Stdout, shown.as_bytes())
            }
            Answer::Ran(ran) => self.present_run(ran),
            Answer::Error(error) => {
                error.ran.as_ref().map_or(Ok(()), |ran| self.present_run(ran))?;
                // Who pressed Ctrl-C, or closed the pipe, knows that the command was cancelled.
                if self.ending.is_none() || error.code != Code::Cancelled {
                    self.complain(error);
                }
                Ok(())
            }
            Answer::Output { .. } => Ok(()),
        }
    }

    fn complain(&self, error: &Error) {
        let mut words = own_token::words(error, &self.request.token);
        if let (Ask::Os(os), Code::BadParameter) = (&self.request.ask, error.code)
            && os.parameters.ordered.iter().any(|value| value == "--help" || value == "-h")
        {
            words += &format!("; zcmd help {} shows what it takes", os.name);
        }
        text::error(error.code.name(), &words);
        if let (Ask::Compute { expression, .. }, Some(position)) =
            (&self.request.ask, error.position)
            && (self.settings.explain || io::stderr().is_terminal())
            && !text::is_quiet()
        {
            text::show(&text::caret(expression, position));
        }
    }

    fn present_run(&mut self, ran: &Ran) -> Result<(), Failure> {
        self.write(Stream::Stdout, &ran.stdout)?;
        self.write(Stream::Stderr, &ran.stderr)?;
        if let Some(OutputBytes { stdout, stderr }) = ran.truncated {
            if stdout < self.written.stdout || stderr < self.written.stderr {
                let message = "the daemon counts less output than it sent";
                return Err(Failure::uncertain(message));
            }
            text::diagnose(&format!(
                "output was cut: {} of {stdout} bytes of standard output, {} of {stderr} bytes \
                 of standard error came",
                self.written.stdout, self.written.stderr
            ));
        }
        if let Ended::Signaled(signal) = &ran.end
            && status::of_signal(signal).is_none()
        {
            let what = "the command was ended by a signal that is not known here";
            text::diagnose(&format!("{what}: {signal:?}"));
        }
        Ok(())
    }

    /// Writes all bytes, in parts that a pipe with room takes without blocking.
    fn write(&mut self, to: Stream, mut bytes: &[u8]) -> Result<(), Failure> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        while !bytes.is_empty() {
            if self.unread && to == Stream::Stdout {
                return Ok(());
            }
            let fd = match to {
                Stream::Stdout => stdout.as_raw_fd(),
                Stream::Stderr => stderr.as_raw_fd(),
            };
            let signal = watch(self.signals);
            let room = zmq::PollItem::from_fd(fd, zmq::POLLOUT);
            let mut items = [room, zmq::PollItem::from_fd(signal.0, signal.1)];
            poll(&mut items, self.until)?;
            let [room, signal] = items.map(|item| !item.get_revents().is_empty());
            if signal {
                self.interrupt()?;
            }
            if !room {
                self.check_deadline()?;
                continue;
            }
            let part = bytes.get(..limits::WRITE_BYTES_MAX).unwrap_or(bytes);
            let written = match to {
                Stream::Stdout => rustix::io::write(&stdout, part),
                Stream::Stderr => rustix::io::write(&stderr, part),
            };
            match (written, to) {
                (Ok(count), Stream::Stdout) => self.written.stdout += count as u64,
                (Ok(count), Stream::Stderr) => self.written.stderr += count as u64,
                (Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN), _) => {}
                (Err(rustix::io::Errno::PIPE), Stream::Stdout) => self.unread()?,
                // Standard error has no reader. Standard output may still have one.
                (Err(_), Stream::Stderr) => return Ok(()),
                (Err(error), Stream::Stdout) => {
                    self.cancel();
                    return Err(text::unwritten(&error.into()));
                }
            }
            bytes = bytes.get(written.unwrap_or(0)..).unwrap_or_default();
        }
        Ok(())
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

/// Sends a `cancel`, if the request is one for a command; says whether it was sent.
pub fn cancel(connection: &mut Connection, request: &Request) -> bool {
    let (Ask::Os(_), Some(target)) = (&request.ask, request.id.clone()) else {
        return false;
    };
    let token = request.token.clone();
    let cancel = Request { id: Some(fresh_id()), token, ask: Ask::Cancel { target } };
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
