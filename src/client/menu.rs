//! The numbered menu for people, filled from what the daemon says may be run.
//!
//! Promises: bad input is said to be bad and asked for again; the end of input leaves with 0;
//! Ctrl-C ends a running command at the daemon, leaves a question for the menu, and leaves the
//! menu. A daemon that is away is complained about, and may come back.
//! Leaves out: anything that a script would want.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::client::catalogue::{Command, Parameter};
use crate::client::connection::poll;
use crate::client::lines::{Line, Lines, Stdin};
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::text::one_line;
use crate::client::{ask_once, page, text};
use crate::protocol::request::{Ask, Os, Values};
use crate::system::signals::{SIGINT, Signals};

const CHOICES: &str = "\n1) Run an OS command\n2) Compute an expression\n3) Quit\n";

/// Why a question got no answer.
enum Leave {
    /// The person chose to quit, or the input ended.
    Quit,
    /// Ctrl-C.
    Interrupted,
    /// Input or output do not work.
    Failed(Failure),
}

struct Menu<'a> {
    settings: Settings,
    signals: &'a Signals,
    lines: Lines<Stdin>,
}

/// Offers the menu until it is left.
///
/// # Errors
/// Input or output do not work; or Ctrl-C, which has its own exit status.
pub fn run(settings: &Settings, signals: &Signals) -> Result<u8, Failure> {
    // One id for many requests would be no id.
    let settings = Settings { id: None, ..settings.clone() };
    let mut menu = Menu { settings, signals, lines: Lines::new(Stdin) };
    loop {
        match menu.turn() {
            Ok(()) => {}
            Err(Leave::Quit) => return Ok(status::DONE),
            Err(Leave::Interrupted) => return Err(Failure::quiet(status::of_interrupt(signals))),
            Err(Leave::Failed(failure)) => return Err(failure),
        }
    }
}

impl Menu<'_> {
    fn turn(&mut self) -> Result<(), Leave> {
        say(CHOICES)?;
        let done = match self.question("> ")?.as_str() {
            "1" => self.command(),
            "2" => self.compute(),
            "3" | "q" | "quit" | "exit" => Err(Leave::Quit),
            "" => Ok(()),
            _ => say("Please type 1, 2 or 3.\n"),
        };
        match done {
            // SIGTERM and SIGHUP end all of it.
            _ if ![0, SIGINT as usize].contains(&self.signals.last()) => Err(Leave::Interrupted),
            // Out of a question, back to the menu.
            Err(Leave::Interrupted) => Ok(()),
            done => done,
        }
    }

    fn compute(&mut self) -> Result<(), Leave> {
        let expression = self.question("Expression: ")?;
        if expression.is_empty() {
            return Ok(());
        }
        self.perform(Ask::Compute { expression, variables: Vec::new() })
    }

    fn command(&mut self) -> Result<(), Leave> {
        let commands = match page::list(&self.settings, Some(self.signals)) {
            Ok((_, catalogue)) => catalogue.commands,
            Err(failure) => return self.complain(&failure),
        };
        if commands.is_empty() {
            return say("There is no command that this token may run.\n");
        }
        for (index, command) in commands.iter().enumerate() {
            let name = one_line(&command.name);
            let line = format!("{:3}) {name:16} {}", index + 1, one_line(&command.about));
            say(&format!("{}\n", line.trim_end()))?;
        }
        let command = loop {
            let choice = self.question("Command (number or name; empty to go back): ")?;
            if choice.is_empty() {
                return Ok(());
            }
            let index = choice.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let numbered = index.and_then(|index| commands.get(index));
            match commands.iter().find(|command| command.name == choice).or(numbered) {
                Some(command) => break command,
                None => say("There is no such command in the list.\n")?,
            }
        };
        let parameters = self.parameters(command)?;
        let name = command.name.clone();
        self.perform(Ask::Os(Os { name, parameters, stream: true, ..Os::default() }))
    }

    fn parameters(&mut self, command: &Command) -> Result<Values, Leave> {
        let mut values = Values::default();
        // Behind a parameter that is left out, values need a name.
        let mut by_name = false;
        for parameter in &command.parameters {
            let Some(first) = self.parameter(parameter)? else {
                by_name = true;
                continue;
            };
            let mut own = vec![first];
            for _ in 1..parameter.repeat {
                let prompt = format!("{} (another; empty for no more): ", parameter.name);
                match self.question(&prompt)? {
                    value if value.is_empty() => break,
                    value => own.push(value),
                }
            }
            match by_name {
                true => drop(values.named.insert(parameter.name.clone(), own)),
                false => values.ordered.extend(own),
            }
        }
        Ok(values)
    }

    /// The first value of a parameter; none if it is left out.
    fn parameter(&mut self, parameter: &Parameter) -> Result<Option<String>, Leave> {
        let Parameter { name, rule, default, optional, .. } = parameter;
        let given = default.as_ref().map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            let value = self.question(&format!("{name} ({rule}){given}: "))?;
            match (value.is_empty(), default) {
                (false, _) => return Ok(Some(value)),
                (true, Some(default)) => return Ok(Some(default.clone())),
                (true, None) if *optional => return Ok(None),
                (true, None) => {
                    say(&format!("{} has no default; type a value.\n", one_line(name)))?;
                }
            }
        }
    }

    /// Asks the daemon, and shows what it says.
    fn perform(&mut self, ask: Ask) -> Result<(), Leave> {
        match ask_once(&self.settings, ask, Some(self.signals)) {
            Ok(status::DONE) => Ok(()),
            Ok(status) => say(&format!("(exit status {status})\n")),
            Err(failure) => self.complain(&failure),
        }
    }

    fn complain(&self, failure: &Failure) -> Result<(), Leave> {
        if failure.status == status::UNREAD {
            return Err(Leave::Failed(failure.clone()));
        }
        // The Ctrl-C that ended the request has done its work.
        self.signals.gather();
        match failure.message.as_str() {
            "" => say("\n"),
            _ => {
                text::fail(failure);
                Ok(())
            }
        }
    }

    /// Asks the person, and returns the answer without blanks around it.
    fn question(&mut self, prompt: &str) -> Result<String, Leave> {
        // It may name what the daemon named.
        let prompt = &one_line(prompt);
        say(prompt)?;
        loop {
            match self.lines.take() {
                Some(Line::Text(line)) => return Ok(line.trim().to_owned()),
                Some(Line::TooLong) => say(&format!("That line is too long.\n{prompt}"))?,
                Some(Line::NotText) => say(&format!("That line is not UTF-8.\n{prompt}"))?,
                None if self.lines.ended() => {
                    say("\n")?;
                    return Err(Leave::Quit);
                }
                None => self.fill()?,
            }
        }
    }

    /// Waits for input or Ctrl-C. People may think as long as they like.
    fn fill(&mut self) -> Result<(), Leave> {
        let stdin = zmq::PollItem::from_fd(io::stdin().as_raw_fd(), zmq::POLLIN);
        let signal = zmq::PollItem::from_fd(self.signals.descriptor(), zmq::POLLIN);
        let mut items = [stdin, signal];
        poll(&mut items, Instant::now() + Duration::from_secs(3600)).map_err(Leave::Failed)?;
        let [stdin, signal] = items.map(|item| !item.get_revents().is_empty());
        if signal && self.signals.gather() > 0 {
            say("\n")?;
            return Err(Leave::Interrupted);
        }
        if !stdin {
            return Ok(());
        }
        self.lines.fill().map_err(|error| {
            Leave::Failed(Failure::refused(format!("cannot read standard input: {error}")))
        })
    }
}

fn say(text: &str) -> Result<(), Leave> {
    let mut out = io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| Leave::Failed(text::unwritten(&error)))
}
