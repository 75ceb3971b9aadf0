//! What the tests of several subjects need.

use crate::house::raw::Good;

/// A process that ends with its test.
pub(crate) struct Ends(pub(crate) std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether nothing comes for as long as a good client takes for many answers.
pub(crate) fn gets_nothing(socket: &zmq::Socket, good: &Good<'_>) -> bool {
    (0..50).for_each(|_| good.is_answered());
    socket.recv_bytes(zmq::DONTWAIT) == Err(zmq::Error::EAGAIN)
}
