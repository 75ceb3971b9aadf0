//! Counts the heap allocations of our evaluator: none for a value, none for a refusal.
//!
//! Promises: the counter is proven to count, and each kind of text has its turn.
//! Leaves out: writing the message or the number, which the caller does where it likes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use zcmd::service::maths::{Value, evaluate, parse_number};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::Relaxed);
    work();
    COUNT.load(Ordering::Relaxed) - before
}

fn main() {
    assert!(allocations(|| drop(black_box(Box::new(1)))) > 0, "the counter does not count");
    let mut texts: Vec<String> =
        zcmd::service::maths::REFERENCE.iter().map(|entry| entry.example.to_owned()).collect();
    for text in [
        "",
        "1+",
        "2pi",
        "sine(1)",
        "alpah",
        "1/0",
        "10%",
        "(1",
        "log(2)",
        "atan2(1)",
        "1e400",
        "×",
        "171!",
        "sqrt(-1)",
        "alpha*2",
        "0x",
        "3.14159265358979323846264338327950288",
    ] {
        texts.push(text.to_owned());
    }
    texts.push("1".repeat(4096));
    texts.push("(".repeat(4096));
    texts.push("a".repeat(4097));
    texts.push(peers::nested(63));
    let variables = [("alpha", Value::Integer(3))];
    let (mut values, mut refusals) = (0, 0);
    for text in &texts {
        let mut is_value = false;
        let count = allocations(|| is_value = black_box(evaluate(text, &variables)).is_ok());
        assert_eq!(count, 0, "{text}");
        *if is_value { &mut values } else { &mut refusals } += 1;
        let count = allocations(|| _ = black_box(parse_number(text)));
        assert_eq!(count, 0, "{text}");
    }
    println!("allocations: 0 in {values} values, 0 in {refusals} refusals");
}
