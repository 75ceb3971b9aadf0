//! Prints the corrections that do not match the sources of another release of libzmq: `cargo run
//! --example places -- SOURCES`.

use std::path::Path;

fn main() {
    let sources = std::env::args_os().nth(1).expect("usage: places SOURCES");
    let copy = std::env::temp_dir().join(format!("libzmq-{}", std::process::id()));
    let misplaced = zeromq_src::misplaced(Path::new(&sources), &copy);
    let _ = std::fs::remove_dir_all(copy);
    for line in &misplaced {
        println!("{line}");
    }
    std::process::exit(i32::from(!misplaced.is_empty()));
}
