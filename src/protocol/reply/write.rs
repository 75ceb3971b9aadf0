//! A reply, encoded into its body.
//!
//! Promises: output that is not UTF-8, or that is longer in JSON than in base64, is sent as base64,
//! except for short output. Times to wait are rounded up. Leaves out: limits on the size of a
//! reply.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Answer, Error, Ran, Reply};
use crate::port::{Ended, OutputBytes, Stream};
use crate::protocol::Members;

impl Reply {
    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Body::new();
        if let Some(id) = &self.id {
            body.member("id", id);
        }
        match &self.answer {
            Answer::Result(text) => {
                body.member("status", "ok");
                // It is JSON already: parsing it again would cost as much as the maths.
                body.raw_member("result", text.as_bytes());
            }
            Answer::Number(text) => {
                body.member("status", "ok");
                body.raw_member("result", text.as_bytes());
                body.member("text", text);
            }
            Answer::Ran(ran) => {
                body.member("status", "ok");
                body.member("result", ran);
            }
            Answer::Output { stream, bytes } => {
                body.member("status", "output");
                body.member(
                    "stream",
                    match stream {
                        Stream::Stdout => "stdout",
                        Stream::Stderr => "stderr",
                    },
                );
                let (name, text) = super::super::spelled(["data", "data_base64"], bytes);
                body.member(name, text.as_ref());
            }
            Answer::Event(text) => {
                body.member("status", "event");
                body.raw_member("result", text.as_bytes());
            }
            Answer::Error(error) => {
                body.member("status", "error");
                body.member("error", error);
                if let Some(ran) = &error.ran {
                    body.member("result", ran);
                }
            }
        }
        body.end()
    }
}

/// An object that is being written, member by member.
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        // Enough for most replies except those of commands.
        Self(Vec::with_capacity(128))
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.raw_member(name, b"");
        // Writing strings, numbers and maps with string keys to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// Writes a member whose value is JSON already.
    fn raw_member(&mut self, name: &str, value: &[u8]) {
        self.0.extend(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend(name.bytes());
        self.0.extend(b"\":");
        self.0.extend(value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

impl Serialize for Ran {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        match &self.end {
            Ended::Exited(code) => out.serialize_entry("exit_code", code)?,
            Ended::Signaled(signal) => out.serialize_entry("signal", signal)?,
        }
        let streams = [
            super::super::spelled(["stdout", "stdout_base64"], &self.stdout),
            super::super::spelled(["stderr", "stderr_base64"], &self.stderr),
        ];
        for (name, text) in streams {
            out.serialize_entry(name, &text)?;
        }
        out.serialize_entry("duration_ms", &self.duration.as_millis())?;
        if let Some(OutputBytes { stdout, stderr }) = self.truncated {
            let totals = [("stdout_bytes", stdout), ("stderr_bytes", stderr)];
            out.serialize_entry("truncated", &Members(&totals))?;
        }
        if let Some(success) = self.success {
            out.serialize_entry("success", &success)?;
        }
        out.end()
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("code", self.code.name())?;
        out.serialize_entry("message", &self.message)?;
        if let Some(position) = self.position {
            out.serialize_entry("position", &position)?;
        }
        if let Some(retry_after) = self.retry_after {
            // Rounded up, so that waiting this long is always enough.
            out.serialize_entry("retry_after_ms", &retry_after.as_nanos().div_ceil(1_000_000))?;
        }
        if let Some(executed) = self.executed {
            out.serialize_entry("executed", &executed)?;
        }
        out.end()
    }
}
