//! A reply, decoded from its body.
//!
//! Promises: a decoded reply is consistent: a command has one ending; each of its streams has one
//! spelling, and a total that is not below its length. Leaves out: whether the reply fits the
//! request.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, Code, Error, Ran, Reply};
use crate::port::{Ended, OutputBytes, Stream};
use crate::protocol::envelope::{self, field};
use crate::protocol::json::{Fault, Json, Kind, Object, echo};

impl Reply {
    /// Reads a body. Unknown members are ignored: newer daemons may add some.
    ///
    /// # Errors
    /// The body is not a reply, or is inconsistent.
    pub fn decode(body: &[u8]) -> Result<Self, Fault> {
        let object = Json::parse_object(body)?;
        let id = object.get("id").map(envelope::id).transpose()?;
        let status = field(&object, "status")?;
        let kind = status.string()?;
        let stray = match kind.as_ref() {
            "ok" | "event" => ["error", "data", "data_base64"].as_slice(),
            "output" => &["error", "result"],
            _ => &["data", "data_base64"],
        };
        if let Some(json) = stray.iter().find_map(|name| object.get(name)) {
            return Err(json.fault(format!("status {}, which has no such member", echo(&kind))));
        }
        let answer = match kind.as_ref() {
            "ok" => match field(&object, "result")? {
                json if json.kind() == Kind::Object => match ran(&json.object()?)? {
                    Some(ran) => Answer::Ran(ran),
                    None => Answer::Result(json.text().to_owned()),
                },
                json => Answer::Result(json.text().to_owned()),
            },
            "event" => Answer::Event(field(&object, "result")?.text().to_owned()),
            "output" => Answer::Output {
                stream: match field(&object, "stream")?.string()?.as_ref() {
                    "stdout" => Stream::Stdout,
                    "stderr" => Stream::Stderr,
                    _ => return Err(field(&object, "stream")?.fault("stream: unknown")),
                },
                bytes: bytes(&object, "data")?,
            },
            "error" => Answer::Error(error(&object)?),
            _ => return Err(status.fault("status: neither ok, output, event nor error")),
        };
        Ok(Reply { id, answer })
    }
}

fn error(object: &Object<'_>) -> Result<Error, Fault> {
    let error = field(object, "error")?.object()?;
    let name = field(&error, "code")?.string()?;
    let code = Code::ALL.iter().copied().find(|code| code.name() == name);
    let retry_after = error.get("retry_after_ms").map(Json::integer).transpose()?;
    let executed = error.get("executed").map(Json::boolean).transpose()?;
    if let (Some(json), Some(false)) = (object.get("result"), executed) {
        return Err(json.fault("a result, but executed is false"));
    }
    Ok(Error {
        code: code.unwrap_or(Code::Internal),
        message: field(&error, "message")?.string()?.into_owned(),
        position: error.get("position").map(Json::integer).transpose()?,
        retry_after: retry_after.map(Duration::from_millis),
        executed,
        ran: match object.get("result") {
            Some(json) => ran(&json.object()?)?,
            None => None,
        },
    })
}

/// Reads the result of a command; `None` if the object has none.
fn ran(object: &Object<'_>) -> Result<Option<Ran>, Fault> {
    let end = match (object.get("exit_code"), object.get("signal")) {
        (Some(_), Some(signal)) => return Err(signal.fault("both exit_code and signal")),
        (Some(code), None) => Ended::Exited(code.integer::<u8>()?.into()),
        (None, Some(signal)) => Ended::Signaled(signal.string()?.into_owned()),
        (None, None) => return Ok(None),
    };
    let (stdout, stderr) = (bytes(object, "stdout")?, bytes(object, "stderr")?);
    let truncated = match object.get("truncated") {
        Some(json) => {
            let totals = json.object()?;
            let total = |name| field(&totals, name).and_then(|json| json.integer());
            let of = OutputBytes { stdout: total("stdout_bytes")?, stderr: total("stderr_bytes")? };
            if of.stdout < stdout.len() as u64 || of.stderr < stderr.len() as u64 {
                return Err(json.fault("truncated: the total is less than the length"));
            }
            Some(of)
        }
        None => None,
    };
    Ok(Some(Ran {
        end,
        stdout,
        stderr,
        duration: Duration::from_millis(field(object, "duration_ms")?.integer()?),
        truncated,
        success: object.get("success").map(Json::boolean).transpose()?,
    }))
}

fn bytes(object: &Object<'_>, name: &str) -> Result<Vec<u8>, Fault> {
    match object.get(&format!("{name}_base64")) {
        Some(json) if object.get(name).is_some() => {
            Err(json.fault(format!("both {name} and {name}_base64")))
        }
        Some(json) => STANDARD
            .decode(json.string()?.as_bytes())
            .map_err(|_| json.fault(format!("{name}_base64: not base64"))),
        None => Ok(field(object, name)?.string()?.into_owned().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_wound_a_reply_that_contradicts_itself() {
        let ran = |rest: &str| format!(r#"{{"duration_ms":1,"stderr":"",{rest}}}"#);
        let ok = |rest: &str| format!(r#"{{"status":"ok","result":{}}}"#, ran(rest));
        let failed = |error: &str, rest: &str| {
            format!(r#"{{"status":"error","error":{{"message":"m","code":{error}}}{rest}}}"#)
        };
        let cases = [
            (ok(r#""stdout":"","exit_code":0,"signal":"SIGKILL""#), "both exit_code and signal"),
            (ok(r#""stdout":"","exit_code":256"#), "in range"),
            (ok(r#""stdout":"","exit_code":-1"#), "in range"),
            (ok(r#""stdout":"","stdout_base64":"","exit_code":0"#), "both stdout and"),
            (
                ok(r#""stdout":"ab","exit_code":0,
                    "truncated":{"stdout_bytes":1,"stderr_bytes":0}"#),
                "the total is less than the length",
            ),
            (
                r#"{"status":"ok","result":1,"error":{"code":"busy","message":""}}"#.into(),
                "no such member",
            ),
            (
                r#"{"status":"output","stream":"stdout","data":"","result":1}"#.into(),
                "no such member",
            ),
            (failed(r#""busy""#, r#","data":"x""#), "no such member"),
            (
                failed(
                    r#""timed_out","executed":false"#,
                    &format!(r#","result":{}"#, ran(r#""stdout":"","exit_code":0"#)),
                ),
                "executed is false",
            ),
            (failed(r#""busy","retry_after_ms":-1"#, ""), "in range"),
            (failed(r#""busy","retry_after_ms":1e3"#, ""), "in range"),
            (failed(r#""bad_expression","position":-1"#, ""), "in range"),
        ];
        for (body, message) in cases {
            let fault = Reply::decode(body.as_bytes()).expect_err(&body);
            assert!(fault.message.contains(message), "{body}: {fault}");
        }
    }
}
