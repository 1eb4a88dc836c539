//! What it costs to pick a consumer for a message.

#[path = "../src/dispatch/selection.rs"]
mod selection;

use divan::{Bencher, black_box};
use selection::Selection;

fn main() {
    divan::main();
}

const CONSUMERS: [usize; 3] = [2, 16, 256];

fn pick(bencher: Bencher<'_, '_>, selection: Selection, consumers: usize) {
    let outstanding: Vec<usize> = (0..consumers).collect();
    let mut random = rand::rng();
    bencher.bench_local(|| selection.pick(black_box(consumers), |at| outstanding[at], &mut random));
}

#[divan::bench(args = CONSUMERS)]
fn random(bencher: Bencher<'_, '_>, consumers: usize) {
    pick(bencher, Selection::Random, consumers);
}

#[divan::bench(args = CONSUMERS)]
fn least_loaded(bencher: Bencher<'_, '_>, consumers: usize) {
    pick(bencher, Selection::LeastLoaded, consumers);
}
