//! The log of a process that has no descriptor left. One test alone: the limit is the process's.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zcmd::port::{Field, Level, Record};
use zcmd::system::log::Log;

#[test]
fn old_wound_a_log_without_a_free_descriptor_ate_its_old_files() {
    let folder = std::env::temp_dir().join(format!("zcmd-rotation-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("log").display().to_string();
    let name = |index: u64| if index == 0 { path.clone() } else { format!("{path}.{index}") };
    let mut log = Log::open(Some(&path), false, 1000, 3).unwrap();
    let mut numbers = 0..;
    let mut write = |log: &mut Log, count: usize| {
        for number in numbers.by_ref().take(count) {
            let fields = vec![("n", Field::Number(number))];
            log.write(Duration::ZERO, &Record { level: Level::Info, event: "tested", fields });
        }
    };
    write(&mut log, 60);
    let files = || (1..=3).map(|index| fs::metadata(name(index)).map(|f| f.ino()).ok());
    let before: Vec<_> = files().collect();
    assert!(before.iter().all(Option::is_some), "{before:?}");

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    let held: Vec<_> = std::iter::from_fn(|| rustix::io::dup(std::io::stdin()).ok()).collect();
    write(&mut log, 20);
    let during: Vec<_> = files().collect();
    let size = fs::metadata(&path).map(|file| file.len());
    drop(held);
    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(during, before, "nothing is renamed");
    assert!(size.as_ref().is_ok_and(|size| *size < 1400), "{size:?}: its bound, and one line more");

    // What waited comes as soon as it can, in order.
    write(&mut log, 1);
    let text: String =
        (0..=3).rev().map(|index| fs::read_to_string(name(index)).unwrap()).collect();
    assert_eq!(text.matches("\"event\":\"log_not_rotated\"").count(), 1, "{text}");
    let found: Vec<u64> = text
        .lines()
        .filter_map(|l| l.split("\"n\":").nth(1)?[..].trim_end_matches('}').parse().ok())
        .collect();
    assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
    assert_eq!(found.last(), Some(&80));
    assert!(found.len() > 30, "{found:?}");
    fs::remove_dir_all(folder).unwrap();
}
