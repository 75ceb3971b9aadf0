//! The output of a command: kept up to a cap, or streamed.
//!
//! Promises: memory is bounded by the cap whatever the command writes, the count is of every byte,
//! and no character is cut in half. Leaves out: where the bytes go.

/// One stream of one command.
#[derive(Debug, Default)]
pub struct Capture {
    kept: Vec<u8>,
    total: u64,
    bytes_max: usize,
}

impl Capture {
    /// Keeps at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), total: 0, bytes_max }
    }

    /// Bytes that were written, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether all that was written is kept.
    pub fn is_whole(&self) -> bool {
        self.total <= self.bytes_max as u64
    }

    /// Keeps bytes up to the cap, and drops the rest.
    pub fn write(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let room = self.bytes_max.saturating_sub(self.kept.len());
        self.kept.extend(bytes.iter().take(room));
    }

    /// Returns the bytes to stream; an unfinished character at the end waits for its rest.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.total = self.total.saturating_add(bytes.len() as u64);
        self.kept.extend(bytes);
        let rest = self.kept.split_off(whole(&self.kept));
        std::mem::replace(&mut self.kept, rest)
    }

    /// The bytes that are kept. If some were dropped, they end with a whole character.
    pub fn into_bytes(mut self) -> Vec<u8> {
        if !self.is_whole() {
            self.kept.truncate(whole(&self.kept));
        }
        self.kept
    }
}

/// Length of the bytes without an unfinished character of UTF-8 at their end (RFC 3629, 3).
fn whole(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let needs = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needs > back + 1 { bytes.len() - back - 1 } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_wound_output_over_the_cap_is_counted_and_not_held() {
        let mut capture = Capture::new(5);
        for _ in 0..1000 {
            capture.write("aé€".as_bytes());
        }
        assert_eq!((capture.total(), capture.is_whole()), (6000, false));
        assert_eq!(capture.into_bytes(), "aé".as_bytes(), "no half a character");
    }

    #[test]
    fn what_is_passed_on_is_whole_characters_and_loses_nothing() {
        let text = "aé€😀\u{0}z".as_bytes();
        let mut capture = Capture::new(usize::MAX);
        let mut passed = Vec::new();
        for byte in text {
            let piece = capture.pass(&[*byte]);
            assert!(std::str::from_utf8(&piece).is_ok());
            passed.extend(piece);
        }
        assert_eq!(passed, text);
        for broken in [&b"\xff"[..], b"a\x80", b"\x80\x80\x80\x80", b"\xc0", b"\xf5"] {
            assert_eq!(capture.pass(broken), broken, "what is no character waits for nothing");
        }
        assert_eq!(capture.pass(b"\xf0\x9f"), b"");
        assert_eq!(capture.into_bytes(), b"\xf0\x9f", "an end without its rest is not lost");
    }
}
