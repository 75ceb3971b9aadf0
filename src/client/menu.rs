//! The numbered menu for people, filled from what the daemon says may be run.
//!
//! Promises: bad input is said to be bad and asked for again; the end of input leaves with 0;
//! Ctrl-C ends a running command at the daemon, leaves a question for the menu, and leaves the
//! menu. A daemon that is away is complained about, and may come back. On a terminal, what a
//! command writes cannot steer it, and values are checked as they are asked.
//! Leaves out: how a question is asked, which is `asker`; anything that a script would want. Lines
//! that a script feeds are read as they come: none is checked, and so asked for twice.

mod asker;
mod values;
mod words;

use std::io::{self, IsTerminal};

use self::asker::{Asker, Kind, Leave, Question, say};
use crate::client::catalogue::Command;
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::text::one_line;
use crate::client::{ask_once, page, text};
use crate::protocol::request::{Ask, Os, Values};
use crate::system::signals::{SIGINT, Signals};

const CHOICES: &str = "\n1) Run an OS command\n2) Compute an expression\n3) Quit\n";

const HELP: &str = "
1 or 2, and Enter. Where a command or a value is asked for:
  Tab         completes a command or a choice
  Up, Down    earlier answers (secrets are not kept)
  ?           help on this question
  <           back to the question before
  Ctrl-C      back to this menu; ends a running command
  q, Ctrl-D   quit; for a value, q is a value
A value that is ? or < itself is written \\? or \\<.
";

struct Menu<'a> {
    settings: Settings,
    signals: &'a Signals,
    asker: Asker<'a>,
    /// What Tab completes in expressions.
    names: Vec<String>,
    /// What was run last.
    last: Option<Given>,
}

/// A command, and the values for each parameter, as far as they are typed.
#[derive(Clone)]
struct Given {
    name: String,
    values: Vec<Vec<String>>,
}

/// Offers the menu until it is left. `names` are completed in expressions.
///
/// # Errors
/// Input or output do not work; or Ctrl-C, which has its own exit status.
pub fn run(settings: &Settings, signals: &Signals, names: Vec<String>) -> Result<u8, Failure> {
    // One id for many requests would be no id.
    let visible = io::stdout().is_terminal();
    let settings = Settings { id: None, visible, ..settings.clone() };
    let mut menu = Menu { settings, signals, asker: Asker::new(signals), last: None, names };
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
        let again = self.last.as_ref().filter(|_| self.asker.is_person());
        let again = again.map(|last| last.name.clone());
        if self.asker.is_person() {
            let again = again.as_deref().map(|name| format!("r) Run {} again\n", one_line(name)));
            say(&format!("{}?) Help\n", again.unwrap_or_default()))?;
        }
        let question = Question { prompt: "> ", ..Question::default() };
        let done = match (self.asker.ask(question)?.as_str(), again) {
            ("1", _) => self.command(),
            ("2", _) => self.compute(),
            ("3" | "q" | "quit" | "exit", _) => Err(Leave::Quit),
            ("", _) => Ok(()),
            ("r", Some(name)) => self.again(&name),
            ("?", _) if self.asker.is_person() => say(HELP),
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

    /// One expression; from a person, one after another.
    fn compute(&mut self) -> Result<(), Leave> {
        let is_person = self.asker.is_person();
        let prompt = if is_person { "Expression (empty to go back): " } else { "Expression: " };
        loop {
            let (kind, words) = (Kind::Expression, self.names.clone());
            let question = Question { prompt, kind, words, ..Question::default() };
            match self.asker.ask(question)?.as_str() {
                "" => return Ok(()),
                "<" if is_person => return Ok(()),
                "q" if is_person => return Err(Leave::Quit),
                "?" if is_person => {
                    say("An expression, such as 2*(3+4) or sqrt(2); `zcmd compute --help` \
                         lists all functions.\n")?;
                }
                expression => {
                    let expression = expression.to_owned();
                    self.perform(Ask::Compute { expression, variables: Vec::new() })?;
                }
            }
            if !is_person {
                return Ok(());
            }
        }
    }

    /// Lets a command be chosen, and runs it.
    fn command(&mut self) -> Result<(), Leave> {
        let Some(commands) = self.list()? else { return Ok(()) };
        if commands.is_empty() {
            return say("There is no command that this token may run.\n");
        }
        let mut is_done = false;
        while !is_done {
            for (index, command) in commands.iter().enumerate() {
                let name = one_line(&command.name);
                let line = format!("{:3}) {name:16} {}", index + 1, one_line(&command.about));
                say(&format!("{}\n", line.trim_end()))?;
            }
            let Some(command) = self.choose(&commands)? else { return Ok(()) };
            is_done = self.with_values(command)?;
        }
        Ok(())
    }

    fn choose<'c>(&mut self, commands: &'c [Command]) -> Result<Option<&'c Command>, Leave> {
        let is_person = self.asker.is_person();
        loop {
            let prompt = "Command (number or name; empty to go back): ";
            let words = commands.iter().map(|command| command.name.clone()).collect();
            let choice = self.asker.ask(Question { prompt, words, ..Question::default() })?;
            if choice.is_empty() || is_person && choice == "<" {
                return Ok(None);
            }
            let index = choice.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let numbered = index.and_then(|index| commands.get(index));
            match commands.iter().find(|command| command.name == choice).or(numbered) {
                Some(command) => return Ok(Some(command)),
                None if is_person && choice == "q" => return Err(Leave::Quit),
                None if is_person && choice == "?" => {
                    commands.iter().try_for_each(|command| say(&command.to_string()))?;
                }
                None => say("There is no such command in the list.\n")?,
            }
        }
    }

    /// Runs a command once more, with the values of last time to begin with.
    fn again(&mut self, name: &str) -> Result<(), Leave> {
        let Some(commands) = self.list()? else { return Ok(()) };
        match commands.iter().find(|command| command.name == name) {
            Some(command) => self.with_values(command).map(|_| ()),
            None => say("This token may not run it any more.\n"),
        }
    }

    /// Asks for the values of a command and runs it; not if the person goes back to the choice.
    fn with_values(&mut self, command: &Command) -> Result<bool, Leave> {
        let before = self.last.take().filter(|last| last.name == command.name);
        let before = before.map(|last| last.values).unwrap_or_default();
        let mut values = before.into_iter().chain(std::iter::repeat(Vec::new()));
        let mut values: Vec<_> = values.by_ref().take(command.parameters.len()).collect();
        let asked = self.parameters(command, &mut values);
        let parameters = by_place(command, &values);
        for (values, parameter) in values.iter_mut().zip(&command.parameters) {
            if parameter.secret {
                values.clear();
            }
        }
        let name = command.name.clone();
        self.last = Some(Given { name: name.clone(), values });
        if asked? {
            self.perform(Ask::Os(Os { name, parameters, stream: true, ..Os::default() }))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What the token may run, unless the daemon does not tell.
    fn list(&self) -> Result<Option<Vec<Command>>, Leave> {
        match page::list(&self.settings, Some(self.signals)) {
            Ok((_, catalogue)) => Ok(Some(catalogue.commands)),
            Err(failure) => self.complain(&failure).map(|()| None),
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
}

/// The values as a request has them: in order, and by name behind a parameter that is left out.
fn by_place(command: &Command, values: &[Vec<String>]) -> Values {
    let mut placed = Values::default();
    let mut by_name = false;
    for (parameter, values) in command.parameters.iter().zip(values) {
        match (values.is_empty(), by_name) {
            (true, _) => by_name = true,
            (false, true) => drop(placed.named.insert(parameter.name.clone(), values.clone())),
            (false, false) => placed.ordered.extend_from_slice(values),
        }
    }
    placed
}
