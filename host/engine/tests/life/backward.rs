//! The way back.

use std::time::{Duration, Instant};

use cutover_engine::{Command, Ending, Event, Next, Phase, PlannedOperation, PlannedStep, StepNo, StuckReason};

use crate::{
    draft::{Draft, pause, plain, retires},
    world::{Fault, World},
};

#[test]
fn a_failed_change_takes_everything_back() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).step("more", plain, &[("c", "z", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.values.insert("x".into(), "before".into());
    world.fault("more/c", Fault::CheckFails);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.values, [("x".to_owned(), "before".to_owned())].into());
}

#[test]
fn a_change_goes_back_after_what_links_it_and_what_follows_it() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[])])
        .step("retire", retires(0), &[("a", "old", &["a"])])
        .step("again", plain, &[("z", "x", &[])])
        .step("last", plain, &[("f", "other", &[])])
        .plan(|_| {});
    let mut world = World::new(plan);
    world.fault("last/f", Fault::Denied);
    assert_eq!(world.finish(), Ending::RolledBack);
    let back: Vec<_> = world.calls.iter().filter(|call| call.starts_with("roll back")).map(String::as_str).collect();
    assert_eq!(back.last(), Some(&"roll back copy/a"));
    assert_eq!(back.len(), 3);
}

#[test]
fn a_half_written_change_goes_back_too() {
    let plan = Draft::new().step("copy", plain, &[("a", "x+y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Half);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn a_write_that_nobody_has_looked_at_yet_goes_back_too() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Denied);
    let take = |world: &mut World| match world.run.next(world.now) {
        Next::Do(command) => command,
        other => panic!("{other:?}"),
    };
    let captures = [take(&mut world), take(&mut world)];
    captures.into_iter().for_each(|capture| world.perform(capture));
    let [first, second] = [take(&mut world), take(&mut world)];
    assert!(matches!((first, second), (Command::Apply { .. }, Command::Apply { .. })));
    world.perform(first);
    let compare = take(&mut world);
    world.perform(compare);
    world.perform(second);
    assert_eq!(world.values["y"], "copy/b", "written while the run was turning");
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn a_foreign_write_is_a_conflict_and_stays_untouched() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    assert_eq!(world.finish(), Ending::Completed);
    world.values.insert("x".into(), "foreign".into());
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!(world.values, [("x".to_owned(), "foreign".to_owned())].into(), "everything else is restored");
    let open: Vec<_> = world.run.open().collect();
    assert_eq!((open[0].change, open[0].reason), (world.change("copy/a"), StuckReason::Conflict));

    let over = world.change("copy/a");
    world.record(Event::RollbackRequested { over: vec![over] });
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty(), "over is explicit");
}

#[test]
fn an_irreversible_step_is_a_wall() {
    let wall = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        retires(0)(step, operation);
        operation.irreversible = true;
    };
    let changes: &[(&str, &str, &[&str])] = &[("a", "x", &[]), ("b", "y", &[])];
    let plan = Draft::new()
        .step("copy", plain, changes)
        .step("destroy", wall, &[("a", "old-a", &["a"])])
        .step("later", plain, &[("f", "z", &[])])
        .plan(|_| {});
    let mut world = World::new(plan);
    world.fault("later/f", Fault::Denied);
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!(world.values["x"], "copy/a", "what was destroyed at the source stays at the target");
    assert!(!world.values.contains_key("y"), "what nothing depends on goes back");
    let open: Vec<_> = world.run.open().map(|open| (open.change, open.reason)).collect();
    assert_eq!(open, [(world.change("copy/a"), StuckReason::Needed), (world.change("destroy/a"), StuckReason::Irreversible)]);
}

#[test]
fn a_wall_holds_through_what_was_there_already() {
    let keeps = |step: &mut PlannedStep, _: &mut PlannedOperation| step.linked = vec![StepNo(0)];
    let names = |step: &mut PlannedStep, _: &mut PlannedOperation| step.reads = vec![StepNo(0)];
    let wall = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        retires(1)(step, operation);
        operation.irreversible = true;
    };
    let linked: &[(&str, &str, &[&str])] = &[("b", "y", &["a"])];
    let free: &[(&str, &str, &[&str])] = &[("b", "y", &[])];
    let add = || Draft::new().step("add", plain, &[("a", "x", &[])]);
    for draft in [add().step("keep", keeps, linked), add().step("keep", names, free)] {
        let plan = draft.step("remove", wall, &[("c", "old", &["b"])]).step("later", plain, &[("f", "z", &[])]).plan(|_| {});
        let mut world = World::new(plan);
        world.values.insert("y".into(), "keep/b".into());
        world.fault("later/f", Fault::Denied);
        assert_eq!(world.finish(), Ending::Stuck);
        assert_eq!(world.values["x"], "add/a", "what was removed for good needs it");
        let open: Vec<_> = world.run.open().map(|open| (open.change, open.reason)).collect();
        assert_eq!(open, [(world.change("add/a"), StuckReason::Needed), (world.change("remove/c"), StuckReason::Irreversible)]);
    }
}

#[test]
fn a_step_whose_input_names_another_goes_back_first() {
    let reads = |step: &mut PlannedStep, _: &mut PlannedOperation| step.reads = vec![StepNo(0)];
    let plan = Draft::new()
        .step("make", plain, &[("a", "x", &[])])
        .step("use", reads, &[("b", "y", &[]), ("c", "z", &[])])
        .step("last", plain, &[("f", "other", &[])])
        .plan(|_| {});
    let mut world = World::new(plan.clone());
    world.fault("last/f", Fault::Denied);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.calls.last().map(String::as_str), Some("roll back make/a"));

    let mut world = World::new(plan);
    world.fault("last/f", Fault::Denied);
    world.fault("use/b", Fault::RollbackStays);
    assert_eq!(world.finish(), Ending::Stuck);
    let open: Vec<_> = world.run.open().map(|open| (open.change, open.reason)).collect();
    assert_eq!(open, [(world.change("make/a"), StuckReason::Needed), (world.change("use/b"), StuckReason::NotRestored)]);
}

#[test]
fn a_chain_that_collapses_goes_back_as_one() {
    let collapses = |_: &mut PlannedStep, operation: &mut PlannedOperation| operation.collapses = true;
    let plan = Draft::new()
        .step("shift", collapses, &[("10", "w", &[]), ("50", "w", &[]), ("100", "w", &[])])
        .step("last", plain, &[("f", "other", &[])])
        .plan(|_| {});
    let mut world = World::new(plan);
    world.values.insert("w".into(), "0".into());
    world.fault("last/f", Fault::Denied);
    assert_eq!(world.finish(), Ending::RolledBack);
    let back: Vec<_> = world.calls.iter().filter(|call| call.starts_with("roll back")).collect();
    assert_eq!(back, ["roll back shift/100"]);
    assert_eq!(world.values["w"], "0");
    assert_eq!(world.run.phase(world.change("shift/10")), Phase::RolledBack);
}

#[test]
fn a_rollback_that_does_not_restore_is_stuck_and_can_be_resumed() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("last", plain, &[("f", "other", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("last/f", Fault::Denied);
    world.fault("copy/a", Fault::RollbackStays);
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!(world.calls.iter().filter(|call| call.starts_with("roll back")).count(), 3);
    world.faults.clear();
    world.crash();
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn an_old_path_that_still_works_takes_the_retirement_back() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("retire", retires(0), &[("a", "old", &["a"])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("retire/a", Fault::StillOpen);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn a_paused_run_can_go_back() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("copy/b", Fault::Denied);
    assert_eq!(world.finish(), Ending::Paused);
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn without_pre_images_there_is_no_way_back() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    assert_eq!(world.finish(), Ending::Completed);
    world.record(Event::PreImagesDestroyed {});
    assert!(world.run.apply(world.now, &Event::RollbackRequested { over: Vec::new() }).is_err());
}

#[test]
fn checks_that_cannot_tell_do_not_hold_what_the_host_has_seen_back() {
    for fault in [Fault::BackBlind, Fault::BackUnreadable] {
        let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("last", plain, &[("f", "other", &[])]).plan(|_| {});
        let mut world = World::new(plan);
        world.fault("last/f", Fault::Denied);
        world.fault("copy/a", fault);
        assert_eq!(world.finish(), Ending::RolledBack);
        assert!(world.run.is_unchecked(world.change("copy/a")), "but it is said so");
        assert_eq!(world.run.steps().map(|step| step.unchecked).sum::<u32>(), 1);
    }
}

#[test]
fn a_stop_while_the_run_turns_is_not_lost() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[]), ("c", "z", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("copy/b", Fault::CheckFails);
    while world.run.cause().is_none() {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    world.record(Event::StopRequested {});
    assert_eq!(world.finish(), Ending::Interrupted);
    assert!(world.calls.iter().all(|call| !call.starts_with("roll back")), "it stopped before it went back: {:?}", world.calls);
    world.crash();
    assert_eq!(world.finish(), Ending::RolledBack, "but back it goes");
    assert!(world.values.is_empty());
}

#[test]
fn a_refusal_is_not_forgiven_by_a_resume() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Trespasses);
    assert_eq!(world.finish(), Ending::Paused);
    world.faults.clear();
    world.crash();
    assert_eq!(world.finish(), Ending::Paused, "the world is as expected, and yet");
    assert_eq!(world.run.phase(world.change("copy/a")), Phase::Failed);
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn tolerated_failures_still_count_after_a_resume() {
    let tolerant = |_: &mut PlannedStep, operation: &mut PlannedOperation| {
        operation.max_failed = 1;
        operation.parallel = 1;
    };
    let plan = Draft::new().step("copy", tolerant, &[("a", "x", &[]), ("b", "y", &[]), ("c", "z", &[])]).plan(pause);
    let mut world = World::new(plan);
    for change in ["copy/a", "copy/b", "copy/c"] {
        world.fault(change, Fault::Denied);
    }
    assert_eq!(world.finish(), Ending::Paused, "the second failure is one too many");
    world.crash();
    assert_eq!(world.finish(), Ending::Paused, "and it still is");
    assert!(!world.calls.contains(&"apply copy/c".to_owned()), "{:?}", world.calls);
    let second = world.change("copy/b");
    world.faults.remove(&second);
    world.crash();
    assert_eq!(world.finish(), Ending::Paused, "the third is the second that failed");
    assert_eq!(world.run.phase(world.change("copy/b")), Phase::Verified);
}

/// A hundred times of what one turn below takes, and far less than squares would.
const LINEAR: Duration = Duration::from_secs(5);

/// How long it takes the run to decide what goes back.
fn turning(world: &mut World) -> Duration {
    loop {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Record(event @ Event::RollbackBegan {}) => {
                let began = Instant::now();
                world.record(event);
                return began.elapsed();
            }
            Next::Record(event) => world.record(event),
            Next::Wait { until, .. } => world.now = until,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn walls_that_read_a_large_step_hold_it_without_squares() {
    let count = 10_000;
    let names: Vec<(String, String)> = (0..count).map(|number| (format!("c{number}"), format!("o{number}"))).collect();
    let made: Vec<(&str, &str, &[&str])> = names.iter().map(|(id, object)| (id.as_str(), object.as_str(), &[][..])).collect();
    let later: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    let used: Vec<(&str, &str, &[&str])> =
        names.iter().zip(&later).map(|((id, _), object)| (id.as_str(), object.as_str(), &[][..])).collect();
    let wall = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        step.reads = vec![StepNo(0)];
        operation.irreversible = true;
    };
    let plan = Draft::new().step("make", plain, &made).step("use", wall, &used).step("last", plain, &[("f", "z", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("last/f", Fault::Denied);
    assert!(turning(&mut world) < LINEAR);
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!(world.run.open().filter(|open| open.reason == StuckReason::Needed).count(), count);
}

#[test]
fn long_chains_and_many_links_go_back_without_squares() {
    let count = 3_000;
    let ids: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
    let shifts: Vec<(&str, &str, &[&str])> = ids.iter().map(|id| (id.as_str(), "w", &[][..])).collect();
    let links: Vec<&str> = ids.iter().map(String::as_str).collect();
    let collapses = |_: &mut PlannedStep, operation: &mut PlannedOperation| operation.collapses = true;
    let linked = |step: &mut PlannedStep, _: &mut PlannedOperation| step.linked = vec![StepNo(0)];
    let about: Vec<(String, String)> = (0..20).map(|number| (format!("r{number}"), format!("old{number}"))).collect();
    let about: Vec<(&str, &str, &[&str])> = about.iter().map(|(id, object)| (id.as_str(), object.as_str(), &links[..])).collect();
    let plan =
        Draft::new().step("shift", collapses, &shifts).step("note", linked, &about).step("last", plain, &[("f", "z", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.values.insert("w".into(), "0".into());
    world.fault("last/f", Fault::Denied);
    assert!(turning(&mut world) < LINEAR);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.values, [("w".to_owned(), "0".to_owned())].into());
    assert_eq!(world.calls.last().map(String::as_str), Some("roll back shift/w2999"));
}
