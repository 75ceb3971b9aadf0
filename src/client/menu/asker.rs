//! Asks a person one question, and reads the answer.
//!
//! Promises: on a terminal, a line can be edited, recalled and completed; a secret is neither shown
//! nor remembered, and the terminal is as before when the answer is there. Elsewhere lines are read
//! as they come, without any of this. Ctrl-C leaves the question.
//! Leaves out: what the answers mean.

use std::io::{self, IsTerminal, Write};
use std::mem;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};

use super::words::Words;
use crate::client::connection::poll;
use crate::client::lines::{Line, Lines, Stdin};
use crate::client::status::Failure;
use crate::client::text;
use crate::client::text::one_line;
use crate::limits;
use crate::system::signals::Signals;

/// Why a question got no answer.
pub(super) enum Leave {
    /// The person chose to quit, or the input ended.
    Quit,
    /// Ctrl-C.
    Interrupted,
    /// Input or output do not work.
    Failed(Failure),
}

/// Which earlier answers can be recalled, and what becomes of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A choice in the menu: not remembered.
    #[default]
    Choice,
    /// A value of a parameter.
    Value,
    /// An expression.
    Expression,
    /// Neither shown nor remembered.
    Secret,
}

/// A question.
#[derive(Debug, Default)]
pub(super) struct Question<'a> {
    /// What stands before the answer.
    pub(super) prompt: &'a str,
    pub(super) kind: Kind,
    /// What Tab completes.
    pub(super) words: Vec<String>,
    /// The answer to begin with, on a terminal.
    pub(super) initial: &'a str,
}

type Terminal = Editor<Words, MemHistory>;

pub(super) struct Asker<'a> {
    signals: &'a Signals,
    lines: Lines<Stdin>,
    editor: Option<Box<Terminal>>,
    /// Values, while the editor has the expressions; and the other way round.
    other_history: MemHistory,
    /// What the editor's history has.
    recalled: Kind,
    is_person: bool,
}

impl<'a> Asker<'a> {
    /// Asks at standard input and output.
    pub(super) fn new(signals: &'a Signals) -> Self {
        let is_person = io::stdin().is_terminal() && io::stdout().is_terminal();
        let term = std::env::var("TERM").unwrap_or_default();
        let is_capable = !["", "dumb", "cons25", "emacs"].contains(&term.as_str());
        let editor = if is_person && is_capable { editor() } else { None };
        Self {
            signals,
            lines: Lines::new(Stdin),
            editor: editor.map(Box::new),
            other_history: MemHistory::with_config(&config()),
            recalled: Kind::Value,
            is_person,
        }
    }

    /// Whether a person sits at a terminal, and no script feeds lines.
    pub(super) fn is_person(&self) -> bool {
        self.is_person
    }

    /// Asks, and returns the answer without blanks around it.
    pub(super) fn ask(&mut self, question: Question<'_>) -> Result<String, Leave> {
        // It may name what the daemon named.
        let prompt = one_line(question.prompt);
        if question.kind == Kind::Secret && io::stdin().is_terminal() {
            return self.secret(&prompt);
        }
        let Some(mut editor) = self.editor.take() else { return self.plain(&prompt) };
        let answer = self.edit(&mut editor, &prompt, question);
        self.editor = Some(editor);
        answer
    }

    fn edit(
        &mut self,
        editor: &mut Terminal,
        prompt: &str,
        Question { kind, words, initial, .. }: Question<'_>,
    ) -> Result<String, Leave> {
        let recalls = [Kind::Value, Kind::Expression].contains(&kind);
        if recalls && kind != self.recalled {
            mem::swap(editor.history_mut(), &mut self.other_history);
            self.recalled = kind;
        }
        editor.set_helper(Some(Words(words)));
        let answer = loop {
            match editor.readline_with_initial(prompt, (initial, "")) {
                Ok(line) if line.len() > limits::LINE_BYTES_MAX => say("That line is too long.\n")?,
                Ok(line) => break line.trim().to_owned(),
                // The size of the window has changed, or a signal came that is none of Ctrl-C.
                Err(ReadlineError::Signal(_)) if self.signals.gather() == 0 => {}
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {
                    return Err(Leave::Interrupted);
                }
                Err(ReadlineError::Eof) => return Err(Leave::Quit),
                Err(error) => return Err(unread(&error)),
            }
        };
        if recalls && !answer.is_empty() {
            editor.add_history_entry(answer.as_str()).map_err(|error| unread(&error))?;
        }
        Ok(answer)
    }

    /// Blanks around it may be part of it.
    fn secret(&mut self, prompt: &str) -> Result<String, Leave> {
        let unechoed = Unechoed::begin().map_err(|error| unread(&io::Error::from(error)))?;
        let answer = self.line(prompt);
        drop(unechoed);
        say("\n")?;
        answer
    }

    fn plain(&mut self, prompt: &str) -> Result<String, Leave> {
        self.line(prompt).map(|line| line.trim().to_owned())
    }

    fn line(&mut self, prompt: &str) -> Result<String, Leave> {
        say(prompt)?;
        loop {
            match self.lines.take() {
                Some(Line::Text(line)) => return Ok(line),
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
        self.lines.fill().map_err(|error| unread(&error))
    }
}

/// Standard input without echo, until it is dropped. What was typed before is discarded: it was
/// shown.
struct Unechoed(Termios);

impl Unechoed {
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &without)?;
        Ok(Self(before))
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        // A terminal that went away needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

fn config() -> Config {
    let config = Config::builder().completion_type(CompletionType::List).bracketed_paste(true);
    // It fails for 32-bit sizes only.
    config.max_history_size(limits::HISTORY_LINES_MAX).map(|c| c.build()).unwrap_or_default()
}

fn editor() -> Option<Terminal> {
    Editor::with_history(config(), MemHistory::with_config(&config())).ok()
}

fn unread(error: &dyn std::fmt::Display) -> Leave {
    Leave::Failed(Failure::refused(format!("cannot read standard input: {error}")))
}

/// Writes to standard output, at once.
pub(super) fn say(text: &str) -> Result<(), Leave> {
    let mut out = io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| Leave::Failed(text::unwritten(&error)))
}
