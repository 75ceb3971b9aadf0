//! A service with a key and three commands; its events, its time, and the trace of its decisions.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use zcmd::port::{Action, Ending, Event, Field, JobId, Moment, Outgoing, Peer, Subject, Unsent};
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::Service;
use zcmd::service::access::authority::{Authority, Revoked};
use zcmd::service::access::clients::Clients;
use zcmd::service::commands::Commands;
use zcmd::service::policy::Policy;
use zcmd::service::settings::{Settings, TokenRules};

pub(crate) const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

pub(crate) const NOW: f64 = 1_800_000_000.0;

pub(crate) const COMMANDS: &str = r#"{
    "run": {"run": ["/bin/run", "{a}"], "timeout_seconds": 10,
            "parameters": [{"name": "a", "type": "word", "default": "x"}]},
    "one": {"run": ["/bin/one"], "at_most": 1},
    "hush": {"run": ["/bin/hush", "{p}"],
             "parameters": [{"name": "p", "type": "text", "secret": true}]}
}"#;

pub(crate) struct Story {
    pub(crate) service: Service,
    pub(crate) now: Duration,
    pub(crate) trace: String,
    pub(crate) actions: Vec<Action>,
}

impl Story {
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let settings = Settings::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            let value = found.map(|(_, value)| (*value).into());
            value.or((name == "JWT_SECRET_KEY").then(|| KEY.into()))
        });
        let (settings, mut policy) = (settings.unwrap(), policy(KEY, "", None));
        policy.authority.rules = settings.tokens.clone();
        let service = Service::new(settings, policy);
        Self { service, now: Duration::ZERO, trace: String::new(), actions: Vec::new() }
    }

    /// A message of somebody who holds a token of this scope.
    pub(crate) fn ask(&mut self, who: &str, scope: &str, request: &str) {
        let body = self.body(who, scope, request);
        self.say(who, &body);
    }

    pub(crate) fn body(&self, who: &str, scope: &str, request: &str) -> String {
        let claims = Claims {
            subject: who.to_owned(),
            scope: Some(scope.to_owned()),
            expires: NOW + 60.0,
            ..Claims::default()
        };
        let token = Keys::parse(KEY).unwrap().sign(&claims);
        request.replacen('{', &format!("{{\"token\":\"{token}\","), 1)
    }

    pub(crate) fn say(&mut self, who: &str, body: &str) {
        self.event(Event::Message { peer: peer(who), body: body.as_bytes().to_vec() });
    }

    pub(crate) fn ended(&mut self, job: u64, ending: Ending) {
        self.event(Event::Ended { job: JobId(job), ending, leftover: false });
    }

    pub(crate) fn event(&mut self, event: Event) {
        let now = self.moment();
        self.service.handle(&now, event, &mut self.actions);
        self.turn();
    }

    /// A reply was not sent.
    pub(crate) fn unsent(&mut self, reply: Outgoing, why: Unsent) {
        let now = self.moment();
        self.service.unsent(&now, reply, why, &mut self.actions);
        self.turn();
    }

    pub(crate) fn reload(&mut self, policy: Policy) {
        let now = self.moment();
        self.service.replace(&now, policy, &mut self.actions);
        self.turn();
    }

    /// Lets time pass, deadline by deadline, as the loop does.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(next) = self.service.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    /// The rest of a turn, as in the loop.
    pub(crate) fn turn(&mut self) {
        let now = self.moment();
        self.act();
        self.service.tick(&now, &mut self.actions);
        let at = self.now.as_millis();
        while let Some(reply) = self.service.next_reply(&mut self.actions) {
            let to = String::from_utf8_lossy(&reply.peer.envelope[0]);
            let body = String::from_utf8_lossy(&reply.body);
            writeln!(self.trace, "{at} {to} <- {body}").unwrap();
        }
        self.act();
    }

    fn act(&mut self) {
        let at = self.now.as_millis();
        for action in self.actions.drain(..) {
            let line = match action {
                Action::Start { job, invocation } => {
                    format!("start {} {} {:?}", job.0, invocation.program, invocation.arguments)
                }
                Action::Judge(_, verdict) => format!("{verdict:?}"),
                Action::Terminate(job) => format!("terminate {}", job.0),
                Action::Kill(job) => format!("kill {}", job.0),
                Action::Pause(job) => format!("pause {}", job.0),
                Action::Resume(job) => format!("resume {}", job.0),
                Action::Log(record) => {
                    let reason = record.fields.iter().find(|(name, _)| *name == "reason");
                    let text = match reason {
                        Some((_, Field::Text(text))) => format!(" {text}"),
                        _ => String::new(),
                    };
                    format!("log {}{text}", record.event)
                }
            };
            writeln!(self.trace, "{at} {line}").unwrap();
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { uptime: self.now, unix: Duration::from_secs_f64(NOW) + self.now }
    }

    /// The trace since it was asked for last, without the lines of the log.
    pub(crate) fn trace(&mut self) -> String {
        let trace = std::mem::take(&mut self.trace);
        let lines = trace.lines().filter(|line| line.split(' ').nth(1) != Some("log"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    pub(crate) fn log(&mut self) -> Vec<String> {
        let trace = std::mem::take(&mut self.trace);
        trace
            .lines()
            .filter_map(|line| line.split_once(" log "))
            .map(|(_, l)| l.to_owned())
            .collect()
    }
}

/// A piece of a stream of this subject.
pub(crate) fn piece(who: &str, body: &str) -> Outgoing {
    let subject = Some(Subject::new(None, who.to_owned()));
    Outgoing { peer: peer(who), body: body.as_bytes().to_vec(), subject, piece: true }
}

pub(crate) fn policy(keys: &str, revoked: &str, clients: Option<Clients>) -> Policy {
    let authority = Authority {
        rules: TokenRules { leeway: Duration::from_secs(30), ..TokenRules::default() },
        keys: Keys::parse(keys).unwrap(),
        revoked: Revoked::parse(revoked).unwrap(),
        clients,
        roles: Default::default(),
    };
    Policy { authority, commands: Commands::parse(COMMANDS).unwrap() }
}

pub(crate) fn peer(who: &str) -> Peer {
    let address = Some(IpAddr::from([10, 0, 0, 1]));
    Peer { envelope: vec![who.as_bytes().to_vec()], address, key: None }
}

pub(crate) fn os(name: &str, id: u32) -> String {
    format!(r#"{{"command_type":"os","command_name":"{name}","id":{id}}}"#)
}

pub(crate) fn ran(id: u32, end: &str, duration: u32) -> String {
    format!(
        r#"{{"id":{id},"status":"ok","result":{{{end},"stdout":"","stderr":"","duration_ms":{duration}}}}}"#
    )
}
