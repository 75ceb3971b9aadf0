//! Signals as something that can be waited for.
//!
//! Promises: a signal that came is seen, once a turn, and nothing runs inside its handler but the
//! writing of one byte. Leaves out: what to do then.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// Some signals, kept from their default effect from now on.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
}

/// The name of a signal of this machine, such as `SIGTERM`; `SIG40` of one that has none.
pub fn name(number: i32) -> String {
    let name = signal_hook::low_level::signal_name(number);
    name.map_or_else(|| format!("SIG{number}"), str::to_owned)
}

/// Makes a call of libzmq's again as often as a signal interrupts it: it has done nothing then.
///
/// # Errors
/// Those of the call, EINTR apart.
pub fn uninterrupted<T>(mut call: impl FnMut() -> zmq::Result<T>) -> zmq::Result<T> {
    loop {
        match call() {
            Err(zmq::Error::EINTR) => {}
            done => return done,
        }
    }
}

impl Signals {
    /// Catches these signals.
    ///
    /// # Errors
    /// No descriptor is left, or a signal cannot be caught.
    pub fn catch(signals: &[i32]) -> io::Result<Self> {
        let (pipe, handler) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        for signal in signals {
            signal_hook::low_level::pipe::register(*signal, handler.try_clone()?)?;
        }
        Ok(Self { pipe })
    }

    /// The descriptor that is readable when a signal has come.
    pub fn descriptor(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }

    /// How many signals have come since it was asked last; few enough for one turn.
    pub fn gather(&self) -> usize {
        let mut bytes = [0; 16];
        (&self.pipe).read(&mut bytes).unwrap_or(0)
    }
}
