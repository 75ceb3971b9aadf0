//! The loop: what happens on the machine goes to the service, what the service decides is done.
//!
//! Promises: one wait, bounded by the next deadline; with nothing going on there is no deadline
//! and no wake-up. What is gathered in one turn is bounded, and no failure of one peer, one child
//! or one line of the log ends the loop, nor does a panic in the handling of one event. This is the
//! only file that knows both service and system.
//! Leaves out: decisions and mechanisms.

use std::cell::Cell;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use rustix::process::DumpableBehavior;
use zmq::{PollEvents, PollItem};

use crate::limits;
use crate::port::{Action, Event, Field, Level, Moment, Record};
use crate::service::Service;
use crate::service::rules::{Files, Rules, load_curve_key};
use crate::service::settings::{KeySource, Settings};
use crate::system::child::{Children, Part, Slot};
use crate::system::clock::Clock;
use crate::system::gate::Gate;
use crate::system::listener::{Access, descriptors_max, inheritable};
use crate::system::log::Log;
use crate::system::router::Router;
use crate::system::signals::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, Signals};
use crate::system::{clock, files};

/// How the daemon reads the files that its settings name.
pub const FILES: Files =
    Files { text: files::read, secret: files::read_trusted_secret, program: files::check_trusted };

/// The daemon, started.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    service: Service,
    clock: Clock,
    router: Router,
    gate: Gate,
    children: Children,
    stop: Signals,
    reload: Signals,
    orphans: Signals,
    log: Log,
}

impl Daemon {
    /// Reads the files, opens the log, and listens.
    ///
    /// # Errors
    /// All that stands in the way.
    pub fn start(settings: Settings) -> Result<Self, Vec<String>> {
        // What this process was left with is nobody's business but its own.
        close_fds::set_fds_cloexec(3, &[]);
        // A command of the same user must not read the keys out of this process.
        let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        hidden.map_err(|error| vec![format!("cannot close this process to others: {error}")])?;
        let rules = Rules::load(&settings, FILES)?;
        let to = &settings.log;
        let log = Log::open(to.file.as_deref(), to.text, to.bytes_max, to.keep)
            .map_err(|error| vec![format!("LOG_FILE: {error}")])?;
        // Before the socket, whose threads must not be the ones that signals come to.
        let catch = |signals: &[i32]| {
            Signals::catch(signals).map_err(|error| vec![format!("cannot catch signals: {error}")])
        };
        let (stop, reload) = (catch(&[SIGTERM, SIGINT])?, catch(&[SIGHUP])?);
        let orphans = catch(&[SIGCHLD])?;
        let purpose = format!("marks of the commands of {}", settings.endpoints.join(","));
        let children = Children::new(rules.keys.derive(&purpose));
        let (gate, router) = listen(&settings)?;
        let mut daemon = Self {
            service: Service::new(settings.clone(), rules.clone()),
            clock: Clock::start(),
            settings,
            router,
            gate,
            children,
            stop,
            reload,
            orphans,
            log,
        };
        daemon.router.set_reply_room(daemon.service.reply_room());
        daemon.announce(&rules);
        Ok(daemon)
    }

    /// Serves until it is asked to stop, and all is answered.
    pub fn run(mut self) {
        tell_panics_by_place();
        let (mut events, mut slots) = (Vec::new(), Vec::new());
        while !self.service.is_drained() || !events.is_empty() {
            let Some(ready) = self.wait(&events, &mut slots) else {
                self.children.kill_all();
                break;
            };
            if self.gather(&ready, &slots, &mut events).is_break() {
                self.children.kill_all();
                break;
            }
            self.turn(&mut events);
            self.serve(limits::TURNS_WITHOUT_WAIT, &mut events);
        }
        // Whoever asked before the end is told that it is the end.
        self.serve(limits::FAREWELL_TURNS, &mut events);
        self.note(Level::Info, "stopped", vec![]);
    }

    /// Serves messages that have come meanwhile, without a wait: so many turns at most, since
    /// children and signals are waited for.
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

    /// Has the service decide, and does what it decided; what cannot be done comes back.
    fn turn(&mut self, events: &mut Vec<Event>) {
        let (now, mut actions) = (self.clock.now(), Vec::new());
        self.children.begin_turn();
        for event in events.drain(..) {
            let handled = attempt(|| self.service.handle(&now, event, &mut actions));
            if let Err(at) = handled {
                // One that fails again would fail with each request: it is not tried twice.
                let _ = attempt(|| self.service.recover(&now, &at, &mut actions));
            }
        }
        self.service.tick(&now, &mut actions);
        self.act(&now, actions, events);
    }

    fn act(&mut self, now: &Moment, actions: Vec<Action>, events: &mut Vec<Event>) {
        for action in actions {
            events.extend(self.perform(now, action));
        }
    }

    /// Waits until something is ready or due; tells what is ready, the fixed slots first. None when
    /// there is no more waiting, which the log says: without it the loop would spin.
    fn wait(&mut self, events: &[Event], slots: &mut Vec<Slot>) -> Option<Vec<bool>> {
        slots.clear();
        self.children.slots(slots);
        let readable = |descriptor| PollItem::from_fd(descriptor, PollEvents::POLLIN);
        let [question, failure] = self.gate.poll_items();
        let mut items = vec![
            self.router.poll_item(),
            question,
            failure,
            readable(self.stop.descriptor()),
            readable(self.reload.descriptor()),
            readable(self.orphans.descriptor()),
        ];
        items.extend(slots.iter().map(|slot| match slot.part {
            Part::Stdin => PollItem::from_fd(slot.descriptor, PollEvents::POLLOUT),
            Part::End | Part::Output(_) => readable(slot.descriptor),
        }));
        let now = self.clock.now().uptime;
        let deadline = self.service.next_deadline().map(|at| at.saturating_sub(now));
        let timeout = match deadline.into_iter().chain(self.children.next_look()).min() {
            _ if !events.is_empty() || self.gate.is_unsure() => 0,
            None => -1,
            Some(left) => milliseconds(left),
        };
        let polled = zmq::poll(&mut items, timeout);
        // A pipe whose other end is gone is an error to libzmq, and something to read to us.
        let ready = items.iter().map(|item| !item.get_revents().is_empty()).collect();
        match polled {
            // After a signal, what is ready is so in the next turn.
            Ok(_) | Err(zmq::Error::EINTR) => Some(ready),
            Err(error) => {
                drop(items);
                let reason = vec![("reason", error.to_string().into())];
                self.note(Level::Error, "cannot_wait", reason);
                None
            }
        }
    }

    /// Collects what happened. Breaks when everything is to end at once.
    fn gather(
        &mut self,
        ready: &[bool],
        slots: &[Slot],
        events: &mut Vec<Event>,
    ) -> std::ops::ControlFlow<()> {
        let [socket, question, failure, stop, reload, orphans, children @ ..] = ready else {
            return std::ops::ControlFlow::Continue(());
        };
        if *stop {
            for _ in 0..self.stop.gather() {
                if self.service.is_draining() || matches!(events.last(), Some(Event::Shutdown)) {
                    return std::ops::ControlFlow::Break(());
                }
                events.push(Event::Shutdown);
            }
        }
        if *reload && self.reload.gather() > 0 {
            self.read_anew(events);
        }
        for (slot, _) in slots.iter().zip(children).filter(|(_, ready)| **ready) {
            self.children.gather(*slot, events);
        }
        let signalled = *orphans && self.orphans.gather() > 0;
        self.children.look_after(signalled, events);
        if *question || *failure || self.gate.is_unsure() {
            self.gate.gather(events);
        }
        if *socket {
            self.router.gather(events);
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Does what was decided; what cannot be done comes back.
    fn perform(&mut self, now: &Moment, action: Action) -> Option<Event> {
        match action {
            Action::Judge(handshake, verdict) => self.gate.answer(handshake, verdict),
            Action::Send(reply) => return self.router.send(reply).err(),
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

    /// Reads the files again: all new or all old.
    fn read_anew(&mut self, events: &mut Vec<Event>) {
        if let Err(error) = self.log.reopen() {
            self.note(Level::Error, "log_not_reopened", vec![("error", error.to_string().into())]);
        }
        match Rules::load(&self.settings, FILES) {
            Ok(rules) => {
                self.note(Level::Info, "reloaded", rules.counts());
                let (now, mut actions) = (self.clock.now(), Vec::new());
                self.service.replace(&now, rules, &mut actions);
                self.router.set_reply_room(self.service.reply_room());
                self.act(&now, actions, events);
            }
            Err(faults) => {
                self.service.keep();
                let faults = vec![("faults", Field::List(faults))];
                self.note(Level::Error, "reload_refused", faults);
            }
        }
    }

    /// Logs what an owner should know of this start.
    fn announce(&mut self, rules: &Rules) {
        let mut fields = vec![
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("endpoints", Field::List(self.router.endpoints().to_vec())),
            ("containment", self.children.containment().into()),
        ];
        fields.extend(rules.counts());
        self.note(Level::Info, "started", fields);
        if self.children.sweep() {
            self.note(Level::Warn, "ended_leftovers", vec![]);
        }
        for warning in warnings(&self.settings, rules, clock::unix_time()) {
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

/// Listens, and makes sure that nobody hears of it who should not.
fn listen(settings: &Settings) -> Result<(Gate, Router), Vec<String>> {
    let secret = load_curve_key(settings, FILES)?;
    if secret.is_some() && zmq::has("curve") != Some(true) {
        return Err(vec![
            "CURVE_SECRET_KEY_FILE: this libzmq has no CURVE; build zcmd as its README says"
                .to_owned(),
        ]);
    }
    if zmq::has("corrections-of-zcmd") != Some(true) && !settings.system_libzmq {
        return Err(vec![
            "this libzmq is not the one that zcmd builds: any peer could end this daemon, fill its \
             memory and get the replies of others; build zcmd as its README says, or say \
             ALLOW_SYSTEM_LIBZMQ=yes"
                .to_owned(),
        ]);
    }
    let one = |fault: String| vec![fault];
    let context = zmq::Context::new();
    let gate = Gate::open(&context).map_err(|error| one(format!("cannot open a gate: {error}")))?;
    let access = Access { mode: settings.ipc_mode, group: settings.ipc_group.clone() };
    let connections = i32::try_from(connections_max(settings)).unwrap_or(i32::MAX);
    let router = Router::bind(&context, &gate, &settings.endpoints, connections, secret, &access);
    let router = router.map_err(one)?;
    match inheritable().as_slice() {
        [] => Ok((gate, router)),
        leaks => Err(one(format!(
            "every command would inherit the descriptors {}: this libzmq does not close them; \
             build zcmd as its README says",
            leaks.join(", ")
        ))),
    }
}

thread_local! {
    /// Where the source panicked last.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Has a panic tell the place of the source and nothing else: its text may hold what a request
/// says.
fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let _ = writeln!(std::io::stderr(), "zcmdd: panic at {at}");
        PANICKED_AT.set(Some(at));
    }));
}

/// Does something, and survives its panic.
///
/// # Errors
/// It panicked; where. What it works on is as it was left then.
fn attempt(work: impl FnOnce()) -> Result<(), String> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| PANICKED_AT.take().unwrap_or_else(|| "an unknown place".to_owned()))
}

/// Connections at the same time: as many as the owner says, unless the descriptors are fewer. Those
/// that commands need are kept back.
fn connections_max(settings: &Settings) -> usize {
    let commands = settings.commands.concurrent_max * limits::COMMAND_DESCRIPTORS;
    let free = descriptors_max().saturating_sub(commands + limits::OWN_DESCRIPTORS);
    settings.connections_max.min(free).max(1)
}

/// What is lawful, and perhaps not meant, at this time since 1970.
pub fn warnings(settings: &Settings, rules: &Rules, unix: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if unix < limits::CLOCK_MIN {
        warnings.push(
            "the clock of this host is not set, since it stands before any build of this program: \
             every token is refused until it is"
                .to_owned(),
        );
    }
    if settings.cleartext {
        warnings.push("ALLOW_CLEARTEXT=yes: whoever reads the network reads the tokens".to_owned());
    }
    if zmq::has("corrections-of-zcmd") != Some(true) {
        warnings.push(
            "ALLOW_SYSTEM_LIBZMQ=yes, and this libzmq is not the one that zcmd builds: any peer \
             can end this daemon, fill its memory and get the replies of others"
                .to_owned(),
        );
    }
    let connections = connections_max(settings);
    if connections < settings.connections_max {
        warnings.push(format!(
            "CONNECTIONS_MAX={}: the limit on open files (ulimit -n) leaves room for {connections}",
            settings.connections_max
        ));
    }
    if settings.rate.per_minute == 0 {
        warnings.push("MAX_REQUESTS_PER_MINUTE=0: callers are not limited".to_owned());
    }
    if settings.commands_file.is_none() {
        warnings.push("COMMANDS_FILE is not set: no command may run".to_owned());
    }
    if let (KeySource::Secret(_), Some(name)) = (&settings.keys, rules.commands.without_user()) {
        warnings.push(format!(
            "JWT_SECRET_KEY is in the environment, and command {name} runs as the daemon's own \
             user; use JWT_SECRET_KEY_FILE, or give it a user"
        ));
    }
    for (name, program) in rules.commands.programs() {
        if !std::path::Path::new(program).exists() {
            warnings.push(format!("command {name}: there is no {program}"));
        }
    }
    warnings
}

/// Whole milliseconds, rounded up: not to wake before the deadline.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::Keys;

    #[test]
    fn old_wound_a_panic_in_one_request_ended_the_daemon() {
        let mut handled = Vec::new();
        for number in 0..3 {
            let done = attempt(|| {
                handled.push(number);
                assert_ne!(number, 1, "a fault, as a test can have it");
            });
            assert_eq!(done.is_err(), number == 1);
        }
        assert_eq!(handled, [0, 1, 2], "what comes after it is handled");
    }

    #[test]
    fn a_clock_that_is_not_set_is_warned_of() {
        let settings = Settings::read(&|name| (name == "JWT_SECRET_KEY").then(|| "x".into()));
        let rules = Rules {
            keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
            revoked: Default::default(),
            clients: None,
            commands: Default::default(),
        };
        for (unix, warned) in [(Duration::ZERO, true), (limits::CLOCK_MIN, false)] {
            let warnings = warnings(settings.as_ref().unwrap(), &rules, unix);
            assert_eq!(warnings.iter().any(|text| text.contains("clock")), warned);
        }
    }
}
