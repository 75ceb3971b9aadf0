//! Signals as a descriptor to wait for.
//!
//! Promises: a signal is seen once a turn; its handler only writes one byte. Leaves out: the
//! reaction.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// Signals whose default effect is replaced.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
}

/// The name of a signal on this machine, such as `SIGTERM`; `SIG40` for one without a name.
pub fn name(number: i32) -> String {
    let name = signal_hook::low_level::signal_name(number);
    name.map_or_else(|| format!("SIG{number}"), str::to_owned)
}

/// Repeats a call of libzmq as long as a signal interrupts it, which has no effect.
///
/// # Errors
/// Those of the call, except EINTR.
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

    /// The descriptor that is readable when a signal has arrived.
    pub fn descriptor(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }

    /// The number of signals since the last call, bounded for one turn.
    pub fn gather(&self) -> usize {
        let mut bytes = [0; 16];
        (&self.pipe).read(&mut bytes).unwrap_or(0)
    }
}
