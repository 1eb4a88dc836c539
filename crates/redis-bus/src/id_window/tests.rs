use std::collections::{HashMap, VecDeque};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// What a window should do, done simply.
#[derive(Default)]
struct Model {
    ids: VecDeque<(u64, Fingerprint)>,
    counts: HashMap<Fingerprint, usize>,
    latest: u64,
}

impl Model {
    fn extend(&mut self, time_ms: u64, fingerprints: &[Fingerprint], capacity: usize) {
        self.latest = self.latest.max(time_ms / 1000);
        for fingerprint in fingerprints {
            if self.ids.len() == capacity {
                self.forget_oldest();
            }
            self.ids.push_back((self.latest, *fingerprint));
            *self.counts.entry(*fingerprint).or_default() += 1;
        }
    }

    fn forget_before(&mut self, time_ms: u64) {
        while self
            .ids
            .front()
            .is_some_and(|(second, _)| *second < time_ms / 1000)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, fingerprint)) = self.ids.pop_front() {
            let count = self.counts.get_mut(&fingerprint).unwrap();
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&fingerprint);
            }
        }
    }
}

/// 300 fingerprints that crowd in two shards, many of them in few places there, at the end and the
/// start of the slots.
fn crowd() -> Vec<Fingerprint> {
    let of = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let place = [0, 0xff, 0x40, low][usize::from(number % 4)];
        let tag = (low % 3) << 4;
        let mut bytes = [0; 16];
        (bytes[1], bytes[2], bytes[3]) = (high % 2, place, place);
        (bytes[4], bytes[5], bytes[6]) = (place, place, 7);
        (bytes[8], bytes[9], bytes[15]) = (high, low, tag);
        Fingerprint::from_bytes(bytes)
    };
    (0..300).map(of).collect()
}

/// The fingerprint of the number: as even as that of an id, but made faster.
fn numbered(number: u64) -> Fingerprint {
    let mix = |seed: u64| {
        let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed;
        for _ in 0..3 {
            bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
        bits ^ (bits >> 32)
    };
    let bits = u128::from(mix(1)) << 64 | u128::from(mix(2));
    Fingerprint::from_bytes(bits.to_be_bytes())
}

fn compare(window: &IdWindow, model: &Model, all: &[Fingerprint]) {
    assert_eq!(window.len(), model.ids.len());
    assert_eq!(window.is_empty(), model.ids.is_empty());
    for fingerprint in all {
        let is_known = model.counts.contains_key(fingerprint);
        assert_eq!(window.contains(fingerprint), is_known, "{fingerprint:?}");
    }
}

#[test]
fn it_does_what_a_simple_model_does() {
    let even: Vec<Fingerprint> = (0..1000).map(numbered).collect();
    for (seed, all) in [crowd(), even.clone(), crowd(), even].iter().enumerate() {
        let mut random = StdRng::seed_from_u64(seed.try_into().unwrap());
        let capacity = [700, 5000][seed / 2];
        let mut window = IdWindow::with(capacity, Ring::about_to_start_over());
        let mut model = Model::default();
        let mut now = 1_000_000;
        for step in 0..600 {
            match random.random_range(0..100) {
                0 => {
                    window.clear();
                    model = Model::default();
                }
                1..20 => {
                    let before = now - random.random_range(0..20_000);
                    window.forget_before(before);
                    model.forget_before(before);
                }
                _ => {
                    let many = if random.random_bool(0.5) { 1 } else { 256 };
                    let ids = (0..random.random_range(0..=many))
                        .map(|_| all[random.random_range(0..all.len())])
                        .collect::<Vec<_>>();
                    // Now and then the time goes back.
                    now = (now + random.random_range(0..500))
                        .saturating_sub(random.random_range(0..50));
                    window.extend(now, ids.iter().copied());
                    model.extend(now, &ids, index_of(capacity));
                }
            }
            if step % 7 == 0 {
                compare(&window, &model, all);
            }
        }
        window.forget_before(u64::MAX);
        assert!(window.is_empty());
        assert!(!all.iter().any(|fingerprint| window.contains(fingerprint)));
    }
}

#[test]
fn an_id_that_was_added_twice_is_known_until_its_last_is_forgotten() {
    let mut window = IdWindow::new();
    window.extend(1000, [numbered(1), numbered(2)]);
    window.extend(5000, [numbered(1)]);
    window.forget_before(4000);
    assert!(window.contains(&numbered(1)));
    assert!(!window.contains(&numbered(2)));
    window.forget_before(6000);
    assert!(!window.contains(&numbered(1)));
}

#[test]
fn all_128_bits_are_compared() {
    let known = [7; 16];
    let mut window = IdWindow::new();
    window.extend(0, [Fingerprint::from_bytes(known)]);
    assert!(window.contains(&Fingerprint::from_bytes(known)));
    for bit in 0..128 {
        let mut other = known;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !window.contains(&Fingerprint::from_bytes(other)),
            "bit {bit}"
        );
    }
}

/// The most an id may take, in bytes.
const MOST: usize = 24;

#[test]
fn an_id_takes_at_most_24_bytes() {
    let mut window = IdWindow::new();
    assert!(window.bytes() <= 100_000, "{window:?}");
    let mut number = 0_u64;
    let mut checks = 0;
    while number < 1_000_000 {
        // Chunks of different sizes, 25 ids a millisecond.
        let next = number + 1 + checks * 97 % 512;
        window.extend(next / 25, (number..next).map(numbered));
        number = next;
        checks += 1;
        // Every 2000 ids or so, so that no growth is missed.
        if number >= 200_000 && checks.is_multiple_of(8) {
            assert!(window.bytes() <= MOST * window.len(), "{window:?}");
        }
    }
    assert!(checks > 3000);
    let half = number / 2;
    window.forget_before(half / 25);
    let kept = window.len();
    assert!(kept.abs_diff(500_000) < 30_000, "{window:?}");
    // The memory goes little by little.
    for _ in 0..500_000 / CLEARED_PER_CALL + 1 {
        window.forget_before(0);
    }
    assert!(window.bytes() <= MOST * kept, "{window:?}");
    assert!(
        (number - 450_000..number)
            .step_by(100)
            .map(numbered)
            .all(|id| window.contains(&id))
    );
}

#[test]
fn what_is_forgotten_does_not_pile_up() {
    let mut window = IdWindow::new();
    for number in 0..120_000 {
        // All but the last second is forgotten, in which 20,000 ids came.
        window.extend(number / 20, [numbered(number)]);
        if number % 20_000 == 0 {
            window.forget_before(number / 20);
        }
    }
    assert_eq!(window.len(), 20_000);
    assert!(window.bytes() <= 1_000_000, "{window:?}");
    window.forget_before(u64::MAX);
    for _ in 0..20_000 / CLEARED_PER_CALL + 1 {
        window.forget_before(0);
    }
    assert!(window.bytes() <= 150_000, "{window:?}");
}

#[test]
fn chunks_of_one_id_cost_little_more() {
    let mut window = IdWindow::new();
    // 20 a second.
    for number in 0..200_000 {
        window.extend(number * 50, [numbered(number)]);
    }
    assert!(window.bytes() <= MOST * window.len(), "{window:?}");
    window.forget_before(100_000 * 50);
    assert_eq!(window.len(), 100_000);
    assert!(!window.contains(&numbered(99_999)));
    assert!(window.contains(&numbered(100_000)));
}
