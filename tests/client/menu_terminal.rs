//! The menu at a terminal: what a person types, and what the screen shows.

use zcmd::protocol::reply::{Answer, Code};
use zcmd::protocol::request::{Ask, Os, Request};

use crate::played::{Caller, Played, cancelled, error, exited, output, target, value, wait_until};
use crate::terminal::Terminal;

const LIST: &str = r#"{"compute":true,"commands":[
    {"name":"fan","about":"Sets the fan","parameters":[
        {"name":"mode","type":"choice","of":["automatic","quiet","performance","full-speed","on-demand"]},
        {"name":"level","type":"integer","min":1,"max":10},
        {"name":"tag","type":"text","max_bytes":9,"repeat":3}]},
    {"name":"login","parameters":[{"name":"user","type":"word"},
        {"name":"pin","type":"text","max_bytes":8,"secret":true}]},
    {"name":"steer","parameters":[]},
    {"name":"halt","confirm":true,"parameters":[]},
    {"name":"show","parameters":[{"name":"first","type":"integer","min":1,"optional":true},
        {"name":"last","type":"host","optional":true}]},
    {"name":"wait\u001b[2J\nforged","parameters":[]}]}"#;
const MENU: &str = "?) Help\n> ";

fn daemon() -> Played {
    let mut waiting: Option<Request> = None;
    Played::new(move |request, caller: &Caller<'_>| {
        match &request.ask {
            Ask::List => caller.reply(request, value(LIST)),
            Ask::Compute { expression, .. } if expression == "1+1" => {
                caller.reply(request, value("2"));
            }
            Ask::Compute { .. } => {
                caller.reply(request, Answer::Error(error(Code::BadExpression, "no", None)));
            }
            Ask::Os(os) if os.name == "steer" => {
                caller.reply(request, output(b"\x1b[2J\x1b]0;title\x07gone\r\n"));
                caller.reply(request, exited(0));
            }
            Ask::Os(os) if os.name == "halt" && !os.confirmed => {
                let refused = error(Code::Unconfirmed, "it asks for a confirmation", None);
                caller.reply(request, Answer::Error(refused));
            }
            Ask::Os(os) if os.name.starts_with("wait") => {
                caller.reply(request, output(b"running\n"));
                waiting = Some(request.clone());
            }
            Ask::Os(_) => {
                caller.reply(request, output(b"done\n"));
                caller.reply(request, exited(0));
            }
            _ => {
                let command = waiting.take().unwrap();
                assert_eq!(target(request), command.id.as_ref());
                caller.reply(&command, cancelled("SIGTERM"));
            }
        }
        true
    })
}

/// The commands that were asked for.
fn asked(played: &Played) -> Vec<Os> {
    let os = |request: Request| match request.ask {
        Ask::Os(os) => Some(os),
        _ => None,
    };
    played.seen().into_iter().filter_map(os).collect()
}

/// Their parameters in order.
fn runs(played: &Played) -> Vec<Vec<String>> {
    asked(played).into_iter().map(|os| os.parameters.ordered).collect()
}

#[test]
fn values_are_checked_as_they_are_asked_and_a_person_can_go_back_and_run_it_again() {
    let played = daemon();
    let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
    terminal.shows(MENU).types("1\r").shows("to go back): ").types("f\t\r");
    // A long rule is told first, each choice on a line.
    terminal.shows("mode is one of\n  automatic\n  quiet\n").shows("mode: ").types("loud\r");
    terminal.shows("mode must be: automatic | quiet").shows("mode: loud");
    terminal.types("\u{15}q\t\r").shows("level (integer, 1 to 10): ").types("11\r");
    // What was wrong is there to be corrected.
    terminal.shows("level must be: integer, 1 to 10").shows("): 11").types("\u{7f}\r");
    terminal.shows("tag (").types("?\r").shows("tag: text, at most 9 bytes").shows("tag (");
    terminal.types("<\r").shows("10): 1").types("\u{7f}7\r").shows("tag (").types("\\?\r");
    terminal
        .shows("no more): ")
        .types("\r")
        .shows("done\n")
        .shows("r) Run fan again\n")
        .shows("> ");
    terminal.types("r\r").shows("mode: quiet").types("\r").shows("): 7").types("0\r");
    terminal.shows("must be").shows("): 70").types("\u{7f}\u{7f}8\r").shows("): \\?").types("\r");
    terminal.shows("no more): ").types("\r").shows("done\n").shows(MENU).types("q\r");
    assert_eq!(terminal.status(), 0);
    assert_eq!(runs(&played), [["quiet", "7", "?"], ["quiet", "8", "?"]]);
}

#[test]
fn a_parameter_may_be_left_out_and_what_follows_is_sent_by_name() {
    let played = daemon();
    let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
    terminal.shows(MENU).types("1\r").shows("to go back): ").types("show\r");
    terminal.shows("first (integer, at least 1) [none]: ").types("\r");
    terminal.shows("last (host) [none]: ").types("nas\r").shows("done\n").shows("> ");
    terminal.types("r\r").shows("first (").shows("[none]: ").types("2\r");
    terminal.shows("[none]: nas").types("\u{15}\r").shows("done\n").shows("> ").types("q\r");
    assert_eq!(terminal.status(), 0);
    let [first, second] = &asked(&played)[..] else { panic!("not two commands") };
    assert!(first.parameters.ordered.is_empty());
    assert_eq!(first.parameters.named["last"], ["nas"]);
    assert_eq!(
        (&second.parameters.ordered[..], second.parameters.named.len()),
        (&["2".to_owned()][..], 0)
    );
}

#[test]
fn a_command_that_asks_for_a_confirmation_runs_after_a_yes_only() {
    let played = daemon();
    let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
    for (answer, shown) in [("n\r", "[refused] not confirmed; nothing ran"), ("y\r", "done\n")] {
        terminal.shows(MENU).types("1\r").shows("to go back): ").types("halt\r");
        terminal.shows("run halt? [y/N] ").types(answer).shows(shown);
    }
    terminal.shows(MENU).types("q\r");
    assert_eq!(terminal.status(), 0);
    let confirmed: Vec<bool> = asked(&played).iter().map(|os| os.confirmed).collect();
    assert_eq!(confirmed, [false, false, true]);
}

#[test]
fn old_wound_a_secret_is_not_shown_while_it_is_typed() {
    for term in ["xterm", "dumb"] {
        let played = daemon();
        let mut terminal = Terminal::with(&played.zcmd(&["menu"]), term);
        terminal.shows("> ").types("1\r").shows("to go back): ").types("login\r");
        terminal.shows("user (").shows("): ").types("ann\r");
        // One that cannot be right is not repeated, either.
        terminal.shows("pin (text, at most 8 bytes, not logged): ").types("hunter2-and-on\r");
        terminal.shows("pin must be: ").shows("not logged): ").types(" hunter2\r").shows("done\n");
        // The arrow keys do not bring it back, and neither does a second run.
        terminal.shows("> ").types("r\r").shows("user (").shows("): ");
        if term == "xterm" {
            terminal.shows("ann").types("\u{15}\u{1b}[A").shows("ann").types("\r");
        } else {
            terminal.types("bob\r");
        }
        terminal.shows("not logged): ").types("\r").shows("type a value").types("7\r");
        terminal.shows("done\n").shows("> ").types("\u{4}");
        assert_eq!(terminal.status(), 0);
        assert!(!terminal.text().contains("hunter"), "{}", terminal.text());
        assert_eq!(runs(&played)[0], ["ann", " hunter2"]);
        assert_eq!(runs(&played)[1][1], "7");
    }
}

#[test]
fn expressions_are_asked_for_one_after_another_edited_recalled_and_completed() {
    let played = daemon();
    let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
    let prompt = "Expression (empty to go back): ";
    terminal.shows(MENU).types("2\r").shows(prompt).types("+1\u{1}1\r").shows("\n2\n");
    terminal.shows(prompt).types("1+\r").shows("zcmd: [bad_expression] no\n").shows(prompt);
    terminal.types("\u{1b}[A1\r").shows("1+1\n2\n").shows(prompt).types("2*sq\t").shows("2*sqrt");
    terminal.types("\u{3}").shows(MENU).types("\u{4}");
    assert_eq!(terminal.status(), 0);
}

#[test]
fn nothing_that_comes_from_the_daemon_steers_the_terminal() {
    let played = daemon();
    let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
    terminal.shows(MENU).types("1\r").shows("wait\\u{1b}[2J").shows("to go back): ");
    terminal.types("\t\t").shows("steer").types("\u{15}steer\r");
    terminal.shows("\\u{1b}[2J\\u{1b}]0;title\\u{7}gone\\r\n").shows(MENU).types("1\r");
    terminal.shows("to go back): ").types("6\r").shows("running\n").types("\u{3}");
    terminal.shows("(exit status 130)").shows("r) Run wait\\u{1b}[2J\\nforged again\n").shows("> ");
    terminal.types("q\r");
    assert_eq!(terminal.status(), 0);
    let raw = terminal.raw();
    for sequence in [&b"\x1b[2J"[..], b"\x1b]0", b"\x07gone"] {
        assert!(!raw.windows(sequence.len()).any(|window| window == sequence), "{sequence:?}");
    }
}

#[test]
fn ctrl_c_leaves_a_question_then_the_menu_and_ctrl_d_quits_from_everywhere() {
    let played = daemon();
    let before = |terminal: &mut Terminal, steps: &[(&str, &str)]| {
        terminal.shows(MENU);
        for (keys, shown) in steps {
            terminal.types(keys).shows(shown);
        }
    };
    let places: [&[(&str, &str)]; 4] = [
        &[("2\r", "back): ")],
        &[("1\r", "back): ")],
        &[("1\r", "back): "), ("fan\r", "mode: ")],
        &[("1\r", "back): "), ("login\r", "user ("), ("a\r", "not logged): ")],
    ];
    for steps in places {
        let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
        before(&mut terminal, steps);
        terminal.types("\u{4}");
        assert_eq!(terminal.status(), 0, "{steps:?}");
        let mut terminal = Terminal::start(&played.zcmd(&["menu"]));
        before(&mut terminal, steps);
        terminal.types("\u{3}").shows(MENU).types("\u{3}");
        assert_eq!(terminal.status(), 130, "{steps:?}");
    }
    wait_until("no command", || runs(&played).is_empty());
}
