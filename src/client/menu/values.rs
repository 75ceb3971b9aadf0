//! The questions for the values of a command.
//!
//! Promises: a person can go back from each question to the one before, finds there what was typed,
//! and is told at once which value cannot be right. Without a person, each value is one line, as it
//! comes.
//! Leaves out: running the command.

use super::asker::{Kind, Leave, Question, say};
use super::{Menu, one_line};
use crate::client::catalogue::{Command, Parameter};
use crate::limits;

/// What a question for a value came to.
enum Reply {
    Value(String),
    /// Back to the question before.
    Back,
    /// No further value.
    NoMore,
}

impl Menu<'_> {
    /// Asks for the values of all parameters, beginning with those that are there. Says whether
    /// they are complete: the person may have gone back from the first one.
    pub(super) fn parameters(
        &mut self,
        command: &Command,
        values: &mut [Vec<String>],
    ) -> Result<bool, Leave> {
        let mut at = 0;
        while let (Some(parameter), Some(values)) = (command.parameters.get(at), values.get_mut(at))
        {
            match (self.values(parameter, values)?, at.checked_sub(1)) {
                (true, _) => at += 1,
                (false, Some(before)) => at = before,
                (false, None) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Asks for all values of a parameter. False: back.
    fn values(&mut self, parameter: &Parameter, values: &mut Vec<String>) -> Result<bool, Leave> {
        let mut count = 0;
        while count < parameter.repeat {
            let initial = values.get(count).cloned().map(quoted).unwrap_or_default();
            match (self.value(parameter, count, initial)?, values.get_mut(count)) {
                (Reply::Value(value), Some(slot)) => *slot = value,
                (Reply::Value(value), None) => values.push(value),
                (Reply::NoMore, _) => break,
                (Reply::Back, _) if count == 0 => return Ok(false),
                (Reply::Back, _) => {
                    count -= 1;
                    continue;
                }
            }
            count += 1;
        }
        values.truncate(count);
        Ok(true)
    }

    /// Asks for one value until there is one that may be right.
    fn value(
        &mut self,
        parameter: &Parameter,
        index: usize,
        mut initial: String,
    ) -> Result<Reply, Leave> {
        let Parameter { name, rule, default, optional, secret, .. } = parameter;
        let is_person = self.asker.is_person();
        let kind = if *secret { Kind::Secret } else { Kind::Value };
        let prompt = self.prompt(parameter, index)?;
        loop {
            let words = parameter.values.choices.clone().unwrap_or_default();
            let question = Question { prompt: &prompt, kind, words, initial: &initial };
            let answer = self.asker.ask(question)?;
            let value = match answer.as_str() {
                "" if index > 0 || *optional && default.is_none() => return Ok(Reply::NoMore),
                "" => match default {
                    Some(default) => return Ok(Reply::Value(default.clone())),
                    None => {
                        say(&format!("{} has no default; type a value.\n", one_line(name)))?;
                        continue;
                    }
                },
                _ if !is_person => return Ok(Reply::Value(answer)),
                // A secret is taken as it stands.
                "<" if !secret => return Ok(Reply::Back),
                "?" if !secret => {
                    say(&help(parameter))?;
                    continue;
                }
                answer if !secret => literal(answer).to_owned(),
                _ => answer,
            };
            if parameter.values.may_be(&value) {
                return Ok(Reply::Value(value));
            }
            say(&format!("{} must be: {}\n", one_line(name), one_line(rule)))?;
            if !secret {
                initial = quoted(value);
            }
        }
    }

    /// The question for a value. A long rule has a line of its own before it.
    fn prompt(&self, parameter: &Parameter, index: usize) -> Result<String, Leave> {
        let Parameter { name, rule, default, optional, .. } = parameter;
        if index > 0 {
            return Ok(format!("{name} (another; empty for no more): "));
        }
        let given = match default {
            Some(default) => format!(" [{default}]"),
            None if *optional => " [none]".to_owned(),
            None => String::new(),
        };
        let prompt = format!("{name} ({rule}){given}: ");
        if !self.asker.is_person() || prompt.chars().count() <= limits::PROMPT_CHARACTERS_MAX {
            return Ok(prompt);
        }
        say(&help(parameter))?;
        Ok(format!("{name}{given}: "))
    }
}

/// The rule for a parameter; of choices, each on a line.
fn help(Parameter { name, rule, values, .. }: &Parameter) -> String {
    let name = one_line(name);
    match &values.choices {
        Some(choices) => {
            let lines: String =
                choices.iter().map(|one| format!("  {}\n", one_line(one))).collect();
            format!("{name} is one of\n{lines}")
        }
        None => format!("{name}: {}\n", one_line(rule)),
    }
}

/// The value that is meant by an answer: `\?` is `?`, and `\\?` is `\?`.
fn literal(answer: &str) -> &str {
    match is_special(answer) {
        true => answer.strip_prefix('\\').unwrap_or(answer),
        false => answer,
    }
}

/// The answer that means a value.
fn quoted(value: String) -> String {
    if is_special(&value) { format!("\\{value}") } else { value }
}

/// Whether it reads like an instruction to the menu, backslashes apart.
fn is_special(text: &str) -> bool {
    ["?", "<"].contains(&text.trim_start_matches('\\'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_value_can_be_typed() {
        for (typed, value) in [("\\?", "?"), ("\\\\<", "\\<"), ("\\a", "\\a"), ("a?", "a?")] {
            assert_eq!(super::literal(typed), value);
            assert_eq!(super::quoted(value.to_owned()), typed);
        }
    }
}
