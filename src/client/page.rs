//! What one command takes: the page of `zcmd list NAME` and `zcmd help NAME`.
//!
//! Promises: the page says what `list` says of the command, and shows how to call it.
//! Leaves out: the help on the client's own subcommands, which is `client::help`.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::client::catalogue::{Catalogue, Command, Parameter};
use crate::client::conversation::Conversation;
use crate::client::fresh_id;
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::text::{self, one_line};
use crate::protocol::json::{Fault, Json};
use crate::protocol::reply::Answer;
use crate::protocol::request::{Ask, Request};
use crate::system::signals::Signals;

/// Prints the page of a command, or what `list` says of it in JSON.
///
/// # Errors
/// No list came, or the command is not in it.
pub fn show(settings: &Settings, name: &str) -> Result<u8, Failure> {
    let (json, Catalogue { commands, .. }) = list(settings, None)?;
    let Some(command) = commands.into_iter().find(|command| command.name == name) else {
        let message = format!("this token reaches no command {name:?}; zcmd list shows all");
        return Err(Failure { status: status::UNKNOWN, ..Failure::refused(message) });
    };
    let page = match settings.json {
        true => format!("{}\n", entry(&json, name).map_err(nonsense)?),
        false => page(&command),
    };
    std::io::stdout().write_all(page.as_bytes()).map_err(|error| text::unwritten(&error))?;
    Ok(status::DONE)
}

/// What this token may do: the daemon's JSON, and what it says.
///
/// # Errors
/// The daemon did not tell.
pub(super) fn list(
    settings: &Settings,
    signals: Option<&Signals>,
) -> Result<(String, Catalogue), Failure> {
    let token = settings.token.clone();
    let request = Request { id: Some(fresh_id()), token, ask: Ask::List };
    match Conversation::open(settings, request, signals)?.last()?.1 {
        Answer::Result(json) => {
            let catalogue = Json::parse(json.as_bytes()).and_then(Catalogue::read);
            Ok((json, catalogue.map_err(nonsense)?))
        }
        Answer::Error(error) => Err(Failure::refused(status::words(&error))),
        _ => Err(Failure::uncertain("the daemon answered something else")),
    }
}

fn nonsense(fault: Fault) -> Failure {
    Failure::uncertain(format!("the list makes no sense: {fault}"))
}

/// The part of the list that is about one command.
fn entry(json: &str, name: &str) -> Result<String, Fault> {
    let json = Json::parse(json.as_bytes())?;
    let commands = json.object()?.get("commands").map_or(Ok(Vec::new()), Json::array)?;
    for command in commands {
        if command.object()?.get("name").map(Json::string).transpose()?.as_deref() == Some(name) {
            return Ok(one_line(command.text()));
        }
    }
    Err(json.fault("the command is gone"))
}

/// The page for people.
fn page(command: &Command) -> String {
    let mut page = format!("zcmd os [OPTION]... {command}");
    let name = word(&command.name);
    let needed = command.parameters.iter().filter(|own| own.default.is_none() && !own.optional);
    let (secret, open): (Vec<_>, Vec<_>) = needed.partition(|own| own.secret);
    // An argument is seen by all users of this host; a file need not be.
    let secret: String = secret.iter().map(|own| format!(" -p {}", from_file(own))).collect();
    let needed: String = open.iter().map(|own| format!(" {}", word(&example(own)))).collect();
    let _ = writeln!(page, "\n  zcmd os{secret} {name}{needed}");
    if let Some(own) = command.parameters.iter().find(|own| own.default.is_some() || own.optional) {
        let value = own.default.clone().unwrap_or_else(|| example(own));
        let given = match own.secret {
            true => from_file(own),
            false => word(&format!("{}={value}", own.name)),
        };
        let _ = writeln!(page, "  zcmd os{secret} -p {given} {name}{needed}");
    }
    page
}

/// What gives the parameter the text of a file.
fn from_file(parameter: &Parameter) -> String {
    word(&format!("{}@FILE", parameter.name))
}

/// A value that the parameter takes, or its name in place of one.
fn example(parameter: &Parameter) -> String {
    parameter.example.clone().unwrap_or_else(|| parameter.name.to_uppercase())
}

/// A text as one word of a shell that shows nothing else than it says.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:,=+-@".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", one_line(text).replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_how_to_call_the_command() {
        let list = r#"{"compute":false,"commands":[{"name":"tail","about":"The end of a log",
            "parameters":[{"name":"file","type":"path","under":"/var/log"},
            {"name":"unit","type":"choice","of":["a b","c"]},
            {"name":"code","type":"new"},
            {"name":"lines","type":"integer","min":1,"max":100,"optional":true}]},
            {"name":"up","parameters":[]},{"name":"unlock","parameters":[
            {"name":"disk","type":"word"},{"name":"pin","type":"text","secret":true}]}]}"#;
        let catalogue = Json::parse(list.as_bytes()).and_then(Catalogue::read).unwrap();
        let wanted = "\
zcmd os [OPTION]... tail FILE UNIT CODE [LINES]
    The end of a log
    file   path under /var/log
    unit   a b | c
    code   new
    lines  integer, 1 to 100; may be left out

  zcmd os tail /var/log/file 'a b' CODE
  zcmd os -p lines=1 tail /var/log/file 'a b' CODE
";
        assert_eq!(page(&catalogue.commands[0]), wanted);
        assert_eq!(page(&catalogue.commands[1]), "zcmd os [OPTION]... up\n\n  zcmd os up\n");
        let unlock = page(&catalogue.commands[2]);
        assert!(unlock.ends_with("\n  zcmd os -p pin@FILE unlock eth0\n"), "{unlock}");
        assert_eq!(entry(list, "up").unwrap(), r#"{"name":"up","parameters":[]}"#);
        assert_eq!(word("it's"), r"'it'\''s'");
    }
}
