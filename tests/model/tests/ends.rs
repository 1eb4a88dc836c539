//! Every order of steps comes to an end: nothing goes round in circles.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use queue_model::{Coverage, Faults, QueueModel, Retention, state::State, step::Step};
use stateright::Model;

/// One fault of any kind: enough to leave the common way.
const ONE_OF_ANY: Faults = Faults {
    any: 1,
    crashes: 1,
    failovers: 1,
    flushes: 1,
    lost: 1,
    reclaims: 1,
};

/// What is known of a state, by its hash.
#[derive(PartialEq, Eq)]
enum Visit {
    /// Steps from it are still being followed.
    OnTheWay,
    /// Every step from it leads to an end.
    Ends,
}

fn hash_of(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Follows every step from a state. Returns the steps of a circle, the last one first, if there is one.
fn circle(
    model: &QueueModel,
    state: &State,
    visits: &mut HashMap<u64, Visit>,
) -> Option<Vec<Step>> {
    let hash = hash_of(state);
    match visits.get(&hash) {
        Some(Visit::Ends) => return None,
        Some(Visit::OnTheWay) => return Some(Vec::new()),
        None => visits.insert(hash, Visit::OnTheWay),
    };
    let mut steps = Vec::new();
    model.actions(state, &mut steps);
    for step in steps {
        let next = model.next_state(state, step);
        if let Some(mut found) = next.and_then(|next| circle(model, &next, visits)) {
            found.push(step);
            return Some(found);
        }
    }
    visits.insert(hash, Visit::Ends);
    None
}

#[test]
fn every_order_of_steps_comes_to_an_end() {
    let model = QueueModel {
        faults: ONE_OF_ANY,
        retention: Retention::UntilReplicated,
        without: None,
        coverage: Coverage::default(),
    };
    let mut visits = HashMap::new();
    for state in model.init_states() {
        let found = circle(&model, &state, &mut visits);
        assert!(found.is_none(), "in a circle, backwards: {found:?}");
    }
    assert!(visits.len() > 10_000, "only {} states", visits.len());
}
