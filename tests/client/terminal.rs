//! The client at a pseudo-terminal, and a person who types.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::played::{Client, PATIENCE};

/// A client at a terminal of its own, 24 lines of 80 columns.
pub(crate) struct Terminal {
    client: Client,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen was looked at.
    seen: usize,
}

impl Terminal {
    pub(crate) fn start(command: &Command) -> Self {
        Self::with(command, "xterm")
    }

    /// The same with another type of terminal.
    pub(crate) fn with(command: &Command, term: &str) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let noctty = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let mut open = OpenOptions::new();
        let slave = open.read(true).write(true).custom_flags(noctty).open(name).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // In a session of its own, so that Ctrl-C reaches it.
        let mut child = Command::new("setsid");
        child.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => child.env(name, value),
                None => child.env_remove(name),
            };
        }
        child.env("TERM", term).stdin(end()).stdout(end()).stderr(end());
        let client = Client::start(child);
        let keyboard = File::from(master);
        let mut source = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // The end of the last process at the terminal is an error.
            while let Ok(count @ 1..) = source.read(&mut part) {
                shown.lock().unwrap().extend(&part[..count]);
            }
        });
        Self { client, keyboard, screen, seen: 0 }
    }

    /// What was shown so far, without what moves the cursor and such.
    pub(crate) fn text(&self) -> String {
        let bytes = self.screen.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&bytes);
        let mut parts = text.split("\u{1b}[");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |at| at + 1);
            plain += &part[end..];
        }
        plain.replace('\r', "")
    }

    /// All bytes that were shown so far.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> &mut Self {
        let begun = Instant::now();
        let at = loop {
            let all = self.text();
            if let Some(at) = all.get(self.seen..).and_then(|rest| rest.find(text)) {
                break at;
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} is not shown after {}: {all}", self.seen);
            std::thread::sleep(Duration::from_millis(2));
        };
        self.seen += at + text.len();
        self
    }

    /// Presses these keys.
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for its end, and gives the exit status.
    pub(crate) fn status(&mut self) -> i32 {
        self.client.status()
    }
}
