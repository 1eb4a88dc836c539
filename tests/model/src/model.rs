//! The model: how much may go wrong, and what is promised all the same.

use stateright::{Model, Property};

use crate::{
    coverage::Coverage,
    guard::Guard,
    message::{IDS, MESSAGES, Set, id_of},
    state::State,
    step::Step,
};

/// How often what may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Faults {
    /// How many faults there are in all.
    pub any: u8,
    /// A replica crashes and starts again with nothing.
    pub crashes: u8,
    /// The last step is lost with a failover.
    pub failovers: u8,
    /// All keys are deleted.
    pub flushes: u8,
    /// An answer is lost, or a call comes after its caller has given up.
    pub lost: u8,
    /// A chunk is taken over from a reader that is still at work.
    pub reclaims: u8,
}

/// How long replicas keep what they heard: at least until a failover cannot lose it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// No longer than they have to.
    UntilReplicated,
    /// For ever.
    ForEver,
}

/// The model.
#[derive(Debug)]
pub struct QueueModel {
    /// How often what may go wrong.
    pub faults: Faults,
    /// How long replicas keep what they heard.
    pub retention: Retention,
    /// A rule that is left out.
    pub without: Option<Guard>,
    /// What has happened.
    pub coverage: Coverage,
}

impl QueueModel {
    /// Whether a rule is kept.
    #[must_use]
    pub fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }
}

impl Model for QueueModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.faults)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(state.work().into_iter().map(Step::Work));
        steps.extend(state.faults().into_iter().map(Step::Fault));
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Work(work) => state.go_on(self, work),
            Step::Fault(fault) => state.go_wrong(self, fault),
        }
        if self.retention == Retention::UntilReplicated {
            state.forget();
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no id has two outcomes", |_, state: &State| {
                state.redis.outcomes.iter().all(|outcomes| *outcomes <= 1)
            }),
            Property::always("no id is admitted twice", |_, state: &State| {
                (0..IDS).all(|id| state.redis.admissions(id) <= 1)
            }),
            Property::always(
                "nothing is lost, nothing stands still",
                |_, state: &State| {
                    let ids: Set = (0..MESSAGES).map(id_of).collect();
                    let has_outcome =
                        |id| state.excused.has(id) || state.redis.outcomes[usize::from(id)] == 1;
                    let is_done = state.redis.queue.is_empty() && ids.iter().all(has_outcome);
                    is_done || !state.work().is_empty()
                },
            ),
        ]
    }
}
