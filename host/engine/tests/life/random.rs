//! Random plans, faults and crashes: whatever happens, a run ends, and it ends right.

use std::collections::BTreeMap;

use cutover_engine::{ChangeNo, Command, Ending, Event, Next, OnFailure, Per, Phase, PlannedOperation, PlannedStep, Run, StepNo, Verdict};
use proptest::prelude::*;

use crate::{
    draft::{Draft, plain, probe},
    world::{Fault, World},
};

#[derive(Debug, Clone)]
struct Case {
    /// Objects of each step's changes.
    steps: Vec<Vec<u8>>,
    faults: Vec<(u8, Fault)>,
    verdicts: Vec<bool>,
    /// After which events the process dies.
    crashes: Vec<u8>,
    reads: bool,
    /// Whether a failure pauses; then a person takes everything back.
    pause: bool,
    /// Whether another command is asked for before what is under way is answered, over and over.
    order: Vec<bool>,
    /// After which event nothing can be reached, and for how many seconds.
    outage: Option<(u8, u64)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let fault = prop_oneof![
        Just(Fault::Unavailable),
        Just(Fault::Denied),
        Just(Fault::Half),
        Just(Fault::Lies),
        Just(Fault::Lost),
        Just(Fault::CheckFails),
        Just(Fault::Waits),
        Just(Fault::BackBlind),
        Just(Fault::BackUnreadable),
    ];
    (
        prop::collection::vec(prop::collection::vec(0u8..6, 1..5), 1..4),
        prop::collection::vec((0u8..12, fault), 0..3),
        prop::collection::vec(any::<bool>(), 0..6),
        prop::collection::vec(0u8..60, 0..4),
        (any::<bool>(), any::<bool>()),
        prop::collection::vec(any::<bool>(), 1..20),
        prop::option::of((0u8..60, 1u64..300)),
    )
        .prop_map(|(steps, faults, verdicts, crashes, (reads, pause), order, outage)| Case {
            steps,
            faults,
            verdicts,
            crashes,
            reads,
            pause,
            order,
            outage,
        })
}

fn world_of(case: &Case) -> World {
    let mut draft = Draft::new();
    for (number, objects) in case.steps.iter().enumerate() {
        let changes: Vec<(String, String)> =
            objects.iter().enumerate().map(|(index, object)| (format!("c{index}"), format!("o{object}+p{object}"))).collect();
        let changes: Vec<(&str, &str, &[&str])> = changes.iter().map(|(id, object)| (id.as_str(), object.as_str(), &[][..])).collect();
        let reads = case.reads && number > 0;
        let shape = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
            plain(step, operation);
            if reads {
                step.reads = vec![StepNo(u32::try_from(number - 1).expect("few"))];
            }
            operation.parallel = 3;
            operation.probes = vec![probe(Per::Cohort, 0, 0), probe(Per::Cohort, 2, 0), probe(Per::Change, 0, 0), probe(Per::Change, 1, 0)];
        };
        draft = draft.step(&format!("s{number}"), shape, &changes);
    }
    let mut world = World::new(draft.plan(|header| header.on_failure = if case.pause { OnFailure::Pause } else { OnFailure::Rollback }));
    world.values = BTreeMap::from([("o1".into(), "first".into()), ("p1".into(), "second".into())]);
    let count = u8::try_from(world.plan.changes.len()).expect("few");
    for (change, fault) in &case.faults {
        world.faults.entry(ChangeNo(u32::from(change % count))).or_default().insert(*fault);
    }
    world.verdicts = case.verdicts.iter().map(|pass| if *pass { Verdict::Pass } else { Verdict::Fail }).collect();
    world
}

/// Runs to the end, losing the process after each event number in `crashes`, and everything else for the time of `outage`.
/// Whoever is stuck for an outage goes on when it is over.
fn finish_with_crashes(world: &mut World, case: &Case) -> Ending {
    let (mut crashes, mut outage) = (case.crashes.clone(), case.outage);
    let (mut order, mut flying) = (case.order.iter().cycle(), Vec::<Command>::new());
    loop {
        if let Some((_, seconds)) = outage.take_if(|(event, _)| world.journal.len() >= usize::from(*event)) {
            world.goes_away(seconds);
        }
        if let Some(hit) = crashes.iter().position(|crash| world.journal.len() >= usize::from(*crash)) {
            crashes.remove(hit);
            flying.clear();
            world.crash();
        }
        if !flying.is_empty() && order.next().is_some_and(|more| !more) {
            let landing = flying.swap_remove(0);
            world.perform(landing);
        }
        match world.run.next(world.now) {
            Next::Do(command) => flying.push(command),
            Next::Record(event) => world.record(event),
            Next::Wait { .. } | Next::Busy { .. } if !flying.is_empty() => {
                let landing = flying.swap_remove(0);
                world.perform(landing);
            }
            Next::Wait { until, .. } => world.now = until,
            Next::Ended(Ending::Stuck) if world.now < world.outage.end => {
                world.now = world.outage.end;
                world.record(Event::RollbackRequested { over: Vec::new() });
            }
            Next::Ended(Ending::Paused) => world.record(Event::RollbackRequested { over: Vec::new() }),
            Next::Ended(ending) => return ending,
            Next::Busy { .. } => panic!("nothing is in flight"),
        }
        assert!(world.journal.len() < 20_000, "the run never ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_and_either_all_is_verified_or_all_is_back(case in cases()) {
        let mut world = world_of(&case);
        let before = world.values.clone();
        let ending = finish_with_crashes(&mut world, &case);
        match ending {
            Ending::Completed => {
                for change in (0u32..).map(ChangeNo).take(world.plan.changes.len()) {
                    prop_assert_eq!(world.run.phase(change), Phase::Verified);
                }
            }
            Ending::RolledBack => prop_assert_eq!(&world.values, &before),
            other => prop_assert!(false, "ended {:?}", other),
        }
    }

    #[test]
    fn the_fold_of_a_journal_is_the_run_that_wrote_it(case in cases()) {
        let mut world = world_of(&case);
        let ending = finish_with_crashes(&mut world, &case);
        let mut run = Run::new(world.plan.clone());
        for (at, event) in &world.journal {
            run.apply(*at, event).expect("a legal journal");
        }
        prop_assert_eq!(run.ending(), Some(ending));
        let phases = |run: &Run| (0u32..).map(ChangeNo).take(world.plan.changes.len()).map(|change| run.phase(change)).collect::<Vec<_>>();
        prop_assert_eq!(phases(&run), phases(&world.run));
    }

    #[test]
    fn no_order_of_events_makes_it_panic(case in cases(), shuffle in prop::collection::vec(any::<prop::sample::Index>(), 0..80)) {
        let mut world = world_of(&case);
        finish_with_crashes(&mut world, &Case { crashes: Vec::new(), ..case.clone() });
        let mut run = Run::new(world.plan.clone());
        let mut refused = 0;
        for index in shuffle {
            let (at, event) = index.get(&world.journal);
            refused += u32::from(run.apply(*at, event).is_err());
        }
        let first = Event::Started { plan: world.plan.digest, deferred: Vec::new() };
        prop_assert!(refused > 0 || run.apply(world.now, &first).is_err() || run.ending().is_none());
    }
}
