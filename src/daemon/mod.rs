//! The loop: hands events of the machine to the service, and performs the actions it returns.
//!
//! Promises: the loop waits in one place, until the next deadline; an idle daemon has no deadline
//! and does not wake up. A turn gathers a bounded number of events. A failure of one peer, one
//! child or one log line does not end the loop; neither does a panic while one event is handled.
//! This is the only file that knows both service and system.
//! Leaves out: decisions and mechanisms.

pub mod load;
mod start;
mod supervised;
mod survive;

pub use start::warnings;
use start::{listen, usual};
use supervised::Supervised;
use survive::{attempt, tell_panics_by_place};

use std::io;
use std::time::Duration;

use rustix::process::DumpableBehavior;
use zmq::{PollEvents, PollItem};

use crate::limits;
use crate::port::{Action, Event, Field, Level, Moment, Record};
use crate::service::Service;
use crate::service::policy::{Policy, changes};
use crate::service::settings::Settings;
use crate::system::child::Children;
use crate::system::clock;
use crate::system::clock::Clock;
use crate::system::log::Log;
use crate::system::router::Router;
use crate::system::signals::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, Signals};
use crate::system::zap::Zap;

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    service: Service,
    clock: Clock,
    router: Router,
    zap: Zap,
    children: Children,
    stop: Signals,
    reload: Signals,
    orphans: Signals,
    log: Log,
    supervised: Supervised,
    /// Consecutive turns whose `tick` or sending panicked: such a panic would repeat for ever.
    panics: usize,
}

impl Daemon {
    /// Reads the files, opens the log, and listens, if there are no `faults` of the settings.
    ///
    /// # Errors
    /// Every reason why it cannot start, those faults included.
    pub fn start((settings, faults): (Settings, Vec<String>)) -> Result<Self, Vec<String>> {
        // Descriptors that this process has inherited must not reach commands.
        close_fds::set_fds_cloexec(3, &[]);
        // A command of the same user must not read the keys out of this process.
        let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        hidden.map_err(|error| vec![format!("cannot close this process to others: {error}")])?;
        let (policy, curve) = load::everything(&settings, faults)?;
        let to = &settings.log;
        let log = Log::open(to.file.as_deref(), to.text, to.bytes_max, to.keep)
            .map_err(|error| vec![format!("LOG_FILE: {error}")])?;
        let supervised = Supervised::from_environment()
            .map_err(|error| vec![format!("NOTIFY_SOCKET: {error}")])?;
        // Signals are caught before the socket starts its threads, so that none of these gets them.
        let catch = |signals: &[i32]| {
            Signals::catch(signals).map_err(|error| vec![format!("cannot catch signals: {error}")])
        };
        let (stop, reload) = (catch(&[SIGTERM, SIGINT])?, catch(&[SIGHUP])?);
        let orphans = catch(&[SIGCHLD])?;
        let purpose = format!("marks of the commands of {}", settings.endpoints.join(","));
        let children = Children::new(policy.authority.keys.derive(&purpose))
            .map_err(|error| vec![format!("cannot watch commands: {error}")])?;
        let (zap, router) = listen(&settings, curve)?;
        let mut daemon = Self {
            service: Service::new(settings.clone(), policy.clone()),
            clock: Clock::start(),
            settings,
            router,
            zap,
            children,
            stop,
            reload,
            orphans,
            log,
            supervised,
            panics: 0,
        };
        daemon.router.set_reply_room(daemon.service.reply_room());
        daemon.announce(&policy);
        let status = daemon.listens();
        daemon.tell(|supervisor| supervisor.ready(&status));
        Ok(daemon)
    }

    /// Serves until a signal asks it to stop and every request has its reply.
    pub fn run(mut self) {
        tell_panics_by_place();
        let mut events = Vec::new();
        let mut until = self.clock.now().uptime;
        while !self.service.is_drained() || !events.is_empty() {
            let ready = self.wait(&events);
            let ends_at_once = match ready {
                Some(ready) => self.gather(ready, &mut events).is_break(),
                None => true,
            };
            if ends_at_once || self.panics > limits::PANICS_MAX {
                self.children.kill_all();
                until = Duration::ZERO;
                break;
            }
            self.turn(&mut events);
            if self.service.is_draining() {
                self.tell(Supervised::stopping);
            }
            let now = self.clock.now().uptime;
            self.tell(|supervisor| supervisor.give_sign(now));
            self.serve(limits::TURNS_WITHOUT_WAIT, &mut events);
            until = self.clock.now().uptime.saturating_add(limits::LAST_REPLIES);
        }
        self.tell(Supervised::stopping);
        // Requests still in flight are refused with `shutting_down`, until no more arrive.
        self.serve(limits::LAST_TURNS, &mut events);
        while self.clock.now().uptime < until && self.router.is_ready(limits::LAST_QUIET) {
            self.serve(limits::LAST_TURNS, &mut events);
        }
        self.note(Level::Info, "stopped", vec![]);
    }

    /// Serves messages that arrived meanwhile, without a wait. The number of turns is bounded,
    /// since children and signals are seen by the wait only.
    fn serve(&mut self, turns: usize, events: &mut Vec<Event>) {
        for _ in 0..turns {
            let undone = events.len();
            self.router.gather(events);
            if events.len() == undone {
                return;
            }
            self.turn(events);
        }
    }

    /// Runs one turn: handles the events, sends the replies, performs the actions. `events` holds
    /// afterwards what the actions caused, such as a command that did not start.
    fn turn(&mut self, events: &mut Vec<Event>) {
        let (now, mut actions) = (self.clock.now(), Vec::new());
        self.children.begin_turn();
        for event in events.drain(..) {
            let handled = attempt(|| self.service.handle(&now, event, &mut actions));
            self.recover(&now, handled, &mut actions);
        }
        // Log lines are written before the replies that they are about; commands start after them.
        self.act(&now, std::mem::take(&mut actions), events);
        self.service.see_log(self.log.state());
        let due = attempt(|| self.service.tick(&now, &mut actions));
        let sent = attempt(|| send_replies(&mut self.service, &self.router, &now, &mut actions));
        self.panics = if due.is_err() || sent.is_err() { self.panics + 1 } else { 0 };
        self.recover(&now, due.and(sent), &mut actions);
        self.act(&now, actions, events);
    }

    /// Lets the service recover after a panic.
    fn recover(&mut self, now: &Moment, done: Result<(), String>, actions: &mut Vec<Action>) {
        if let Err(at) = done {
            // A second panic is not handled again: it would repeat.
            let _ = attempt(|| self.service.recover(now, &at, actions));
        }
    }

    fn act(&mut self, now: &Moment, actions: Vec<Action>, events: &mut Vec<Event>) {
        for action in actions {
            events.extend(self.perform(now, action));
        }
    }

    /// Waits until something is ready or due, and returns what is ready. Returns none, and logs it,
    /// if waiting fails: the loop would spin.
    fn wait(&mut self, events: &[Event]) -> Option<[bool; 7]> {
        let readable = |descriptor| PollItem::from_fd(descriptor, PollEvents::POLLIN);
        let [question, failure] = self.zap.poll_items();
        let mut items = [
            self.router.poll_item(),
            question,
            failure,
            readable(self.stop.descriptor()),
            readable(self.reload.descriptor()),
            readable(self.orphans.descriptor()),
            readable(self.children.descriptor()),
        ];
        let now = self.clock.now().uptime;
        let deadline = self.service.next_deadline().map(|at| at.saturating_sub(now));
        let others = [self.children.next_look(), self.supervised.next_sign(now)];
        let timeout = match deadline.into_iter().chain(others.into_iter().flatten()).min() {
            _ if !events.is_empty() || self.zap.is_unsure() => 0,
            None => -1,
            Some(left) => milliseconds(left),
        };
        let polled = zmq::poll(&mut items, timeout);
        // libzmq reports a closed pipe as an error; here it counts as readable.
        let ready = items.each_ref().map(|item| !item.get_revents().is_empty());
        match polled {
            // Interrupted by a signal: the next turn sees what is ready.
            Ok(_) | Err(zmq::Error::EINTR) => Some(ready),
            Err(error) => {
                let reason = vec![("reason", error.to_string().into())];
                self.note(Level::Error, "cannot_wait", reason);
                None
            }
        }
    }

    /// Gathers events. Breaks if the daemon has to end at once.
    fn gather(
        &mut self,
        [socket, question, failure, stop, reload, orphans, children]: [bool; 7],
        events: &mut Vec<Event>,
    ) -> std::ops::ControlFlow<()> {
        if stop {
            for _ in 0..self.stop.gather() {
                if self.service.is_draining() || matches!(events.last(), Some(Event::Shutdown)) {
                    return std::ops::ControlFlow::Break(());
                }
                events.push(Event::Shutdown);
            }
        }
        if reload && self.reload.gather() > 0 {
            self.reload_files(events);
        }
        if children {
            self.children.gather(events);
        }
        let signalled = orphans && self.orphans.gather() > 0;
        self.children.look_after(signalled, events);
        if question || failure || self.zap.is_unsure() {
            self.zap.gather(events);
        }
        if socket {
            self.router.gather(events);
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Performs an action. Returns an event if it failed.
    fn perform(&mut self, now: &Moment, action: Action) -> Option<Event> {
        match action {
            Action::Judge(handshake, verdict) => self.zap.answer(handshake, verdict),
            Action::Start { job, invocation } => return self.children.start(job, &invocation),
            Action::Terminate(job) => self.children.terminate(job),
            Action::Kill(job) => self.children.kill(job),
            Action::Pause(job) => self.children.pause(job, true),
            Action::Resume(job) => self.children.pause(job, false),
            Action::Log(record) if record.level <= self.settings.log.level => {
                self.log.write(now.unix, &record);
            }
            Action::Log(_) => {}
        }
        None
    }

    /// Reloads the files: either all of them take effect or none.
    fn reload_files(&mut self, events: &mut Vec<Event>) {
        self.tell(|supervisor| supervisor.reloading());
        if let Err(error) = self.log.reopen() {
            self.note(Level::Error, "log_not_reopened", vec![("error", error.to_string().into())]);
        }
        let status = match load::policy(&self.settings) {
            Ok(policy) => {
                let mut fields = policy.counts();
                fields.extend(changes(self.service.policy(), &policy));
                self.note(Level::Info, "reloaded", fields);
                let (now, mut actions) = (self.clock.now(), Vec::new());
                self.service.replace(&now, policy, &mut actions);
                self.router.set_reply_room(self.service.reply_room());
                self.act(&now, actions, events);
                self.listens()
            }
            Err(faults) => {
                self.service.keep();
                let first = faults.first().map_or("", String::as_str);
                let status = format!("{}; the last reload was refused: {first}", self.listens());
                let faults = vec![("faults", Field::List(faults))];
                self.note(Level::Error, "reload_refused", faults);
                status
            }
        };
        self.tell(|supervisor| supervisor.ready(&status));
    }

    /// Where the daemon listens, in a few words.
    fn listens(&self) -> String {
        let endpoints: Vec<_> = self.router.endpoints().iter().map(|e| usual(e)).collect();
        format!("listens at {}", endpoints.join(", "))
    }

    /// Tells the supervisor something, and logs it if that fails.
    fn tell(&mut self, what: impl FnOnce(&mut Supervised) -> io::Result<()>) {
        if let Err(error) = what(&mut self.supervised) {
            let fields = vec![("error", error.to_string().into())];
            self.note(Level::Warn, "supervisor_not_told", fields);
        }
    }

    /// Logs the start and its warnings.
    fn announce(&mut self, policy: &Policy) {
        let mut fields = vec![
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("endpoints", Field::List(self.router.endpoints().iter().map(|e| usual(e)).collect())),
            ("containment", self.children.containment().into()),
        ];
        fields.extend(policy.counts());
        self.note(Level::Info, "started", fields);
        if self.children.sweep() {
            self.note(Level::Warn, "ended_leftovers", vec![]);
        }
        for warning in warnings(&self.settings, policy, clock::unix_time()) {
            self.note(Level::Warn, "warning", vec![("about", warning.into())]);
        }
        if let Err(error) = self.log.try_rotation() {
            let about =
                format!("LOG_FILE: it cannot be rotated, and ends when it is full: {error}");
            self.note(Level::Warn, "warning", vec![("about", about.into())]);
        }
    }

    fn note(&mut self, level: Level, event: &'static str, fields: Vec<(&'static str, Field)>) {
        if level <= self.settings.log.level {
            self.log.write(clock::unix_time(), &Record { level, event, fields });
        }
    }
}

/// Sends the replies of this turn. The service learns the result of each before it gives the next.
fn send_replies(service: &mut Service, router: &Router, now: &Moment, out: &mut Vec<Action>) {
    while let Some(reply) = service.next_reply(out) {
        if let Err(why) = router.send(&reply) {
            service.unsent(now, reply, why, out);
        }
    }
}

/// Whole milliseconds, rounded up, so that the loop does not wake before the deadline.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
