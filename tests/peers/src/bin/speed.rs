//! Nanoseconds to parse and evaluate one text: ours and the peers, alternated in one run.
//!
//! Promises: each figure is the median of many rounds; in each round every evaluator has its
//! turn, so that a slow moment of the host hits all of them alike.
//! Leaves out: peers that refuse a text or give another number for it (marked with a dash).

use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 301;
const ROUND_NANOSECONDS: u128 = 100_000;

fn main() {
    let mut peers = peers::all();
    // A processor that was idle takes a while to reach its pace.
    medians(&mut peers, "1+2*3");
    medians(&mut peers, "1+2*3");
    println!("| expression | tokens | {} | best peer ÷ ours |", names(&peers).join(" | "));
    println!("|---|{}---|", "---:|".repeat(peers.len() + 1));
    for (label, tokens, text) in expressions() {
        let medians = medians(&mut peers, &text);
        let ours = medians[0].expect("ours accepts it");
        let best = medians[1..].iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let cells: Vec<String> =
            medians.iter().map(|cell| cell.map_or("–".into(), |ns| format!("{ns:.0}"))).collect();
        println!("| {label} | {tokens} | {} | {:.2} |", cells.join(" | "), best / ours);
    }
}

fn names(peers: &[peers::Peer]) -> Vec<&'static str> {
    peers.iter().map(|peer| peer.name).collect()
}

/// For each peer the median, if it agrees with ours.
fn medians(peers: &mut [peers::Peer], text: &str) -> Vec<Option<f64>> {
    let expected = peers::ours(text).expect("ours accepts it");
    let texts: Vec<String> = peers.iter().map(|peer| peers::spelled_for(peer.name, text)).collect();
    let repeats: Vec<Option<u32>> = peers
        .iter_mut()
        .zip(&texts)
        .map(|(peer, text)| match peer.say(text) {
            peers::Said::Number(number) if (number - expected).abs() <= 1e-9 * expected.abs() => {
                let start = Instant::now();
                for _ in 0..100 {
                    black_box(peer.number(black_box(text)));
                }
                let once = (start.elapsed().as_nanos() / 100).max(1);
                Some((ROUND_NANOSECONDS / once).max(3) as u32)
            }
            _ => None,
        })
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); peers.len()];
    for _ in 0..ROUNDS {
        for (((peer, text), repeats), times) in
            peers.iter_mut().zip(&texts).zip(&repeats).zip(&mut times)
        {
            let Some(repeats) = *repeats else { continue };
            let start = Instant::now();
            for _ in 0..repeats {
                black_box(peer.number(black_box(text)));
            }
            times.push(start.elapsed().as_nanos() as f64 / f64::from(repeats));
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied()
        })
        .collect()
}

/// Label, number of tokens, text: eight, from the shortest to 240 tokens.
fn expressions() -> Vec<(String, usize, String)> {
    let short = [
        "1+2",
        "2*(3+4)",
        "3.5*2.25-1.75/0.5",
        "(1.5+2)^2-7.25%3",
        "sin(1.5)+cos(0.5)*abs(3.25-7)",
        "((((1.0+2)*3)-4)/5+6)*7-((8-9)*10)",
    ];
    let mut all: Vec<(String, usize, String)> =
        short.iter().map(|text| (format!("`{text}`"), tokens(text), (*text).to_owned())).collect();
    let mut long = String::from("1.0");
    let parts = ["+2", "*3.25", "-(4-5.5)", "/8", "+0.125*16", "-77", "*(1+2.5)", "+1234.5678"];
    for part in parts.iter().cycle() {
        long.push_str(part);
        let count = tokens(&long);
        if count == 81 || count >= 240 {
            all.push((format!("`{}…`", &long[..20]), count, long.clone()));
        }
        if count >= 240 {
            return all;
        }
    }
    all
}

fn tokens(text: &str) -> usize {
    let mut count = 0;
    let mut word = false;
    for character in text.chars() {
        let is_word = character.is_alphanumeric() || character == '.';
        count += usize::from(!is_word || !word);
        word = is_word;
    }
    count
}
