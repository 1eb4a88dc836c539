//! Every state the protocol can be in: with all of its rules, and without each one of them.

use std::thread::available_parallelism;

use queue_model::{Coverage, Faults, Guard, QueueModel, Retention};
use stateright::{Checker, HasDiscoveries, Model};

/// Two faults of any kinds, at any time: one during the recovery from the other, too.
const TWO_OF_ANY: Faults = Faults {
    any: 2,
    crashes: 2,
    failovers: 1,
    flushes: 1,
    lost: 2,
    reclaims: 2,
};

/// No fault, to which a test adds the kinds it needs.
const NONE: Faults = Faults {
    any: 2,
    crashes: 0,
    failovers: 0,
    flushes: 0,
    lost: 0,
    reclaims: 0,
};

fn model(faults: Faults, retention: Retention, without: Option<Guard>) -> QueueModel {
    QueueModel {
        faults,
        retention,
        without,
        coverage: Coverage::default(),
    }
}

/// No more than a broken rule needs to be found out.
fn enough_for(guard: Guard) -> Faults {
    match guard {
        Guard::Bitmap | Guard::CompareAndAppend => Faults { lost: 1, ..NONE },
        Guard::ChunkIdsAreUnique | Guard::HeardIsKept => Faults {
            failovers: 1,
            ..NONE
        },
        Guard::UnknownIsOffered | Guard::UnknownReadsAnew => Faults { flushes: 1, ..NONE },
        Guard::ReadToIsThere => Faults {
            crashes: 1,
            failovers: 1,
            ..NONE
        },
        Guard::UnknownIsNotSettled | Guard::TrimmedIsRemembered => Faults {
            failovers: 1,
            flushes: 1,
            ..NONE
        },
    }
}

#[test]
fn each_id_has_one_outcome_whatever_two_things_go_wrong() {
    let threads = available_parallelism().map_or(1, usize::from);
    for retention in [Retention::UntilReplicated, Retention::ForEver] {
        let checker = model(TWO_OF_ANY, retention, None).checker();
        let checker = checker.symmetry().threads(threads).spawn_dfs().join();
        println!("{retention:?}: {} states", checker.unique_state_count());
        checker.assert_properties();
        for (event, count) in checker.model().coverage.counts() {
            println!("{count:>9} {event:?}");
            assert!(count > 0, "never happened: {event:?}");
        }
    }
}

#[test]
fn without_any_one_rule_a_promise_is_broken() {
    for guard in Guard::ALL {
        let model = |without| model(enough_for(guard), Retention::UntilReplicated, without);
        model(None)
            .checker()
            .symmetry()
            .spawn_dfs()
            .join()
            .assert_properties();
        // Breadth first: the shortest way to the failure is shown.
        let broken = model(Some(guard)).checker();
        let broken = broken.finish_when(HasDiscoveries::AnyFailures);
        let found = broken.spawn_bfs().join().discoveries();
        assert!(!found.is_empty(), "nothing breaks without {guard:?}");
        for (promise, path) in found {
            println!("without {guard:?}: {promise}: {:?}", path.into_actions());
        }
    }
}
