//! What it costs to know duplicates in memory, beside the fingerprint of an id.
//!
//! `cargo bench -p redis-bus --bench id_window`

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::{hint::black_box, time::Instant};

use redis_bus::{Fingerprint, IdWindow};

/// How often a look-up is measured.
const LOOKUPS: u32 = 1_000_000;

/// Of how many numbers one is a fingerprint that is looked up: neighbours came one after the other, and
/// would stand side by side in memory.
const STRIDE: u32 = 7_919;

/// Ids of one chunk.
const CHUNK: u32 = 512;

fn main() {
    let id = "01234567-89ab-4def-8123-456789abcdef";
    let hashing = nanos_each(LOOKUPS, |_| Fingerprint::of(black_box(id)));
    println!(
        "fingerprint of an id of {} bytes: {hashing:.0} ns",
        id.len()
    );
    for ids in [1_000_000, 10_000_000] {
        measure(ids);
    }
}

fn measure(ids: u32) {
    let mut window = IdWindow::new();
    // A million a second.
    let add = |window: &mut IdWindow, chunk: u32| {
        let numbers = chunk * CHUNK..(chunk + 1) * CHUNK;
        window.extend(u64::from(chunk) / 2, numbers.map(numbered));
    };
    let chunks = ids / CHUNK;
    let growing = nanos_each(chunks, |chunk| add(&mut window, chunk)) / f64::from(CHUNK);
    println!(
        "{} ids, {:.1} bytes each",
        window.len(),
        bytes_each(&window)
    );

    let known = nanos_each(LOOKUPS, |number| {
        window.contains(&numbered(number.wrapping_mul(STRIDE) % (chunks * CHUNK)))
    });
    let unknown = nanos_each(LOOKUPS, |number| {
        window.contains(&numbered(u32::MAX - number))
    });

    let mut longest = 0.0_f64;
    let turning = nanos_each(chunks / 4, |chunk| {
        let started = Instant::now();
        window.forget_before(u64::from(chunk) / 2);
        add(&mut window, chunks + chunk);
        longest = longest.max(started.elapsed().as_secs_f64());
    });
    println!("  look-up, known: {known:.0} ns");
    println!("  look-up, unknown: {unknown:.0} ns");
    println!("  insert while it grows: {growing:.0} ns");
    println!(
        "  insert while as many are forgotten: {:.0} ns",
        turning / f64::from(CHUNK)
    );
    println!("  longest call then: {:.2} ms", longest * 1e3);
}

/// A fingerprint for each number, as even as that of an id, but made in a few ns.
fn numbered(number: u32) -> Fingerprint {
    let mut bits = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
    bits ^= bits >> 32;
    let more = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Fingerprint::from_bytes(((u128::from(bits) << 64) | u128::from(more)).to_be_bytes())
}

fn nanos_each<T>(times: u32, mut step: impl FnMut(u32) -> T) -> f64 {
    let started = Instant::now();
    for number in 0..times {
        black_box(step(number));
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}

fn bytes_each(window: &IdWindow) -> f64 {
    let as_f64 = |number: usize| u32::try_from(number).map_or(f64::NAN, f64::from);
    as_f64(window.bytes()) / as_f64(window.len())
}
