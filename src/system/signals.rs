//! Signals as a descriptor to wait for.
//!
//! Promises: a signal is seen once a turn; its handler only stores its number and writes one byte.
//! Leaves out: the reaction.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// Signals whose default effect is replaced.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
    last: Arc<AtomicUsize>,
}

/// Whether this process was started to ignore a signal, as nohup(1) does. Such a signal is not to
/// be caught.
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask.checked_shr(u32::try_from(signal - 1).unwrap_or(64)).unwrap_or(0) & 1 == 1
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
        let last = Arc::new(AtomicUsize::new(0));
        for signal in signals {
            let number = usize::try_from(*signal).unwrap_or_default();
            signal_hook::flag::register_usize(*signal, Arc::clone(&last), number)?;
            signal_hook::low_level::pipe::register(*signal, handler.try_clone()?)?;
        }
        Ok(Self { pipe, last })
    }

    /// The number of the signal that came last; 0 if none has.
    pub fn last(&self) -> usize {
        self.last.load(Ordering::Relaxed)
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
