//! CURVE keys (RFC 26) as text: 32 bytes as 40 characters of Z85 (RFC 32).
//!
//! Promises: each key has one spelling, and other text is refused; the thumbprint of a key is what
//! a token's `cnf` names (RFC 7800). Leaves out: cryptography and the writing of keys, which libzmq
//! does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// A key, public or secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CurveKey(pub [u8; 32]);

impl std::fmt::Debug for CurveKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("CurveKey")
    }
}

impl CurveKey {
    /// Reads a key. The message does not repeat it: it may be secret.
    ///
    /// # Errors
    /// Not 40 characters of Z85.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a CURVE key, which has 40 characters of Z85".to_owned();
        let (mut key, mut read) = ([0; 32], text.as_bytes().chunks_exact(5));
        for bytes in key.chunks_exact_mut(4) {
            let mut value: u32 = 0;
            for digit in read.next().ok_or_else(wrong)? {
                let digit = DIGITS.iter().position(|known| known == digit).ok_or_else(wrong)?;
                let digit = u32::try_from(digit).map_err(|_| wrong())?;
                let next = value.checked_mul(85).and_then(|value| value.checked_add(digit));
                value = next.ok_or_else(wrong)?;
            }
            bytes.copy_from_slice(&value.to_be_bytes());
        }
        match text.len() {
            40 => Ok(Self(key)),
            _ => Err(wrong()),
        }
    }

    /// Reads the keys of a file that `keygen` wrote, from its first `lines` lines.
    ///
    /// # Errors
    /// As `parse`; or a line is missing.
    pub fn parse_lines<const N: usize>(text: &str) -> Result<[Self; N], String> {
        let mut lines = text.lines();
        let mut keys = [Self([0; 32]); N];
        for (index, key) in keys.iter_mut().enumerate() {
            let line = lines.next().unwrap_or_default();
            *key = Self::parse(line).map_err(|why| format!("line {}: {why}", index + 1))?;
        }
        Ok(keys)
    }

    /// The thumbprint of a public key: base64url, without padding, of the SHA-256 of its bytes.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's public key of RFC 26's examples, as libzmq's manual spells it.
    const TEXT: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

    #[test]
    fn a_key_has_one_spelling() {
        let key = CurveKey::parse(TEXT).unwrap();
        assert_eq!(zmq::z85_encode(&key.0).unwrap(), TEXT);
        assert_eq!(key.0[..4], [0x54, 0xfc, 0xba, 0x24]);
        assert_eq!(CurveKey::parse(&"0".repeat(40)).unwrap().0, [0; 32]);
        let wrong = [
            "",
            &TEXT[1..],
            &format!("{TEXT}0"),
            &format!("{TEXT}00000"),
            &TEXT.replace('M', " "),
            &TEXT.replace('M', "~"),
            &"#".repeat(40), // more than 32 bits hold
            &"é".repeat(20),
        ];
        for text in wrong {
            let error = CurveKey::parse(text).unwrap_err();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert_eq!(CurveKey::parse_lines(&format!("{TEXT}\n{TEXT}\nx")), Ok([key; 2]));
        assert!(CurveKey::parse_lines::<2>(TEXT).unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn the_thumbprint_is_that_of_the_bytes() {
        let zeros = CurveKey([0; 32]).thumbprint();
        assert_eq!(zeros, "Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU");
    }
}
