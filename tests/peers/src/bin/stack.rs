//! The deepest expressions on a stack of 64 KiB.
//!
//! Promises: every kind of nesting, as deep as it is allowed and one deeper, with the functions
//! that use most stack at the bottom; a stack that is too small ends the process.
//! Leaves out: debug builds, whose frames are larger.

use zcmd::service::maths::evaluate;

const STACK_BYTES: usize = 64 * 1024;

fn main() {
    let work = || {
        let bottoms = ["1", "sin(1e22)", "gamma(0.3)", "1.00000000000000011102230246251565e-300"];
        for (bottom, calls) in bottoms.into_iter().zip([0, 1, 1, 0]) {
            for (open, close) in
                [("(", ")"), ("sin(", ")"), ("max(1,", ")"), ("2^", ""), ("-(", ")")]
            {
                let most = 64 - calls;
                let deep = |levels| open.repeat(levels) + bottom + &close.repeat(levels);
                let is_too_deep = |levels| {
                    evaluate(&deep(levels), &[]).is_err_and(|e| e.to_string().contains("levels"))
                };
                assert!(!is_too_deep(most), "{}", deep(most));
                assert!(is_too_deep(most + 1), "{}", deep(most + 1));
            }
        }
        assert!(evaluate(&peers::nested(63), &[]).is_ok());
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.expect("a thread starts").join().expect("64 levels are evaluated");
    println!("stack: 64 levels fit {STACK_BYTES} bytes");
}
