//! Suggestions for an unknown name: the most similar known name.
//!
//! Promises: the time is bounded by `NAME_BYTES` and the number of names.
//! Leaves out: suggestions for syntax errors (message.rs).

use super::builtins::{CONSTANTS, FUNCTIONS};
use super::value::Value;

/// Names longer than this are not compared.
const NAME_BYTES: usize = 32;

/// The known name that is most similar, if one is similar enough.
pub(super) fn nearest<'a>(name: &[u8], variables: &[(&'a str, Value)]) -> Option<&'a [u8]> {
    let known = FUNCTIONS.iter().map(|function| function.entry.name());
    let known = known.chain(CONSTANTS.iter().map(|&(name, _)| name));
    similar(name, known.chain(variables.iter().map(|&(name, _)| name))).map(str::as_bytes)
}

/// The one of these names that is most similar, if one is similar enough.
pub fn similar<'a>(name: &[u8], known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter_map(|known| Some((distance(name, known.as_bytes())?, known)))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// The edit distance of two names, if they are similar enough.
fn distance(name: &[u8], known: &[u8]) -> Option<usize> {
    if name.len() > NAME_BYTES || known.len() > NAME_BYTES {
        return None;
    }
    let edits = if is_transposed(name, known) { 1 } else { edits(name, known) };
    // One typing error in three letters; "cosine" is "cos" with a suffix, "fact" a part of a name.
    let has_suffix = known.len() >= 3 && name.starts_with(known);
    let is_part = name.len() >= 3 && known.starts_with(name);
    (edits <= name.len() / 3 || has_suffix || is_part).then_some(edits)
}

/// Whether the names differ only by a transposition of two neighbours.
fn is_transposed(name: &[u8], known: &[u8]) -> bool {
    let same = name.iter().zip(known).take_while(|(a, b)| a == b).count();
    match (name.get(same..), known.get(same..)) {
        (Some([a, b, rest @ ..]), Some([c, d, others @ ..])) => a == d && b == c && rest == others,
        _ => false,
    }
}

/// The Levenshtein distance of two names, without regard to case.
fn edits(name: &[u8], known: &[u8]) -> usize {
    // The distance of the prefix of `name` read so far from each prefix of `known`.
    let mut row: [usize; NAME_BYTES + 1] = core::array::from_fn(|length| length);
    let mut last = known.len();
    for (read, a) in name.iter().enumerate() {
        let (mut diagonal, mut left) = (read, read + 1);
        for (b, cell) in known.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        last = left;
    }
    last
}
