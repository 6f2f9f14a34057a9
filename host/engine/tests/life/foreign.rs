//! Somebody else writes while a run is under way: whatever the moment, their value stays.

use cutover_engine::{Command, Ending, Event, FailureCase, Next, Outcome, Phase, StuckReason, Verdict};

use crate::{
    draft::{Draft, pause, plain, probe},
    world::{Fault, World},
};

fn one() -> World {
    World::new(Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {}))
}

fn take(world: &mut World) -> Command {
    match world.run.next(world.now) {
        Next::Do(command) => command,
        other => panic!("{other:?}"),
    }
}

/// Performs commands until an apply is the next.
fn until_apply(world: &mut World) -> Command {
    loop {
        match take(world) {
            apply @ Command::Apply { .. } => return apply,
            other => world.perform(other),
        }
    }
}

fn stuck_reason(world: &World) -> StuckReason {
    world.run.open().next().expect("a change stays").reason
}

#[test]
fn a_write_between_capture_and_apply_is_a_conflict_and_nothing_of_ours() {
    let mut world = one();
    world.fault("copy/a", Fault::Forestalled);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.values["x"], "foreign");
    assert_eq!(world.calls, ["apply copy/a"], "nothing was written, so nothing is taken back");
    let failure = world.run.failure(world.change("copy/a")).expect("it failed");
    assert_eq!(failure.case, FailureCase::Conflict);
}

#[test]
fn a_write_while_apply_could_not_reach_anything_is_a_conflict() {
    let mut world = one();
    world.fault("copy/a", Fault::Unavailable);
    let apply = until_apply(&mut world);
    world.values.insert("x".into(), "foreign".into());
    world.perform(apply);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!((world.values["x"].as_str(), world.calls.as_slice()), ("foreign", ["apply copy/a".to_owned()].as_slice()));
}

#[test]
fn a_write_during_a_pause_is_a_conflict_when_the_run_goes_on() {
    let mut world = World::new(Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(pause));
    world.fault("copy/a", Fault::CheckFails);
    assert_eq!(world.finish(), Ending::Paused);
    world.values.insert("x".into(), "foreign".into());
    world.record(Event::Resumed {});
    assert_eq!(world.finish(), Ending::Paused);
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!((world.values["x"].as_str(), stuck_reason(&world)), ("foreign", StuckReason::Conflict));
}

#[test]
fn a_write_after_a_death_in_the_middle_of_ours_is_not_taken_back() {
    for forward_first in [false, true] {
        let mut world = one();
        let Command::Apply { change, attempt, .. } = until_apply(&mut world) else { panic!("an apply") };
        world.record(Event::ApplyStarted { change, attempt });
        world.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
        world.values.insert("x".into(), "copy/a".into());
        world.crash();
        world.values.insert("x".into(), "foreign".into());
        if !forward_first {
            world.record(Event::RollbackRequested { over: Vec::new() });
        }
        assert_eq!(world.finish(), Ending::Stuck);
        assert_eq!((world.values["x"].as_str(), stuck_reason(&world)), ("foreign", StuckReason::Conflict));
        assert!(world.calls.is_empty(), "no hook was called over it: {:?}", world.calls);
    }
}

#[test]
fn what_a_hook_left_is_looked_at_before_the_run_stops() {
    let mut world = one();
    let apply = until_apply(&mut world);
    world.record(Event::StopRequested {});
    world.perform(apply);
    assert_eq!(world.finish(), Ending::Interrupted);
    assert!(matches!(world.journal[world.journal.len() - 2].1, Event::Compared { .. }), "{:?}", world.journal);
    world.values.insert("x".into(), "foreign".into());
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!((world.values["x"].as_str(), stuck_reason(&world)), ("foreign", StuckReason::Conflict));
}

#[test]
fn a_rollback_that_meets_a_conflict_is_not_tried_again() {
    let mut world = one();
    assert_eq!(world.finish(), Ending::Completed);
    world.fault("copy/a", Fault::BackForestalled);
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!((world.values["x"].as_str(), stuck_reason(&world)), ("foreign", StuckReason::Conflict));
    assert_eq!(world.calls, ["apply copy/a", "roll back copy/a"]);
}

#[test]
fn a_write_between_two_attempts_of_rollback_is_a_conflict() {
    let mut world = one();
    assert_eq!(world.finish(), Ending::Completed);
    world.fault("copy/a", Fault::RollbackStays);
    world.record(Event::RollbackRequested { over: Vec::new() });
    while world.calls.len() < 2 {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Record(event) => world.record(event),
            other => panic!("{other:?}"),
        }
    }
    let compare = take(&mut world);
    world.perform(compare);
    world.values.insert("x".into(), "foreign".into());
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!((world.values["x"].as_str(), stuck_reason(&world)), ("foreign", StuckReason::Conflict));
    assert_eq!(world.calls, ["apply copy/a", "roll back copy/a"]);
}

#[test]
fn the_word_of_the_operator_is_good_for_one_rollback() {
    let mut world = one();
    let change = world.change("copy/a");
    assert_eq!(world.finish(), Ending::Completed);
    world.values.insert("x".into(), "foreign".into());
    world.fault("copy/a", Fault::BackForestalled);
    world.record(Event::RollbackRequested { over: vec![change] });
    assert_eq!(world.finish(), Ending::Stuck);
    world.values.insert("x".into(), "another foreign".into());
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::Stuck);
    assert_eq!(world.values["x"], "another foreign");
}

#[test]
fn a_value_that_somebody_else_made_as_wanted_is_theirs() {
    let mut world = one();
    world.fault("copy/a", Fault::Unavailable);
    let apply = until_apply(&mut world);
    world.values.insert("x".into(), "copy/a".into());
    world.perform(apply);
    assert_eq!(world.finish(), Ending::Completed);
    world.record(Event::RollbackRequested { over: Vec::new() });
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.values["x"], "copy/a", "this run did not write it");
}

#[test]
fn a_lost_write_that_shows_later_is_ours() {
    let mut world = one();
    let Command::Apply { change, attempt, .. } = until_apply(&mut world) else { panic!("an apply") };
    world.record(Event::ApplyStarted { change, attempt });
    world.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
    world.values.insert("x".into(), "copy/a".into());
    let failure = cutover_engine::Failure { case: FailureCase::Unavailable, code: None, text: "no answer".into() };
    world.record(Event::ApplyEnded { change, outcome: Outcome::Unknown(failure) });
    world.fault("copy/a", Fault::CheckFails);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
    assert_eq!(world.run.phase(change), Phase::RolledBack);
}

#[test]
fn time_in_which_nobody_watched_is_not_watched_time() {
    let shape = |_: &mut _, operation: &mut cutover_engine::PlannedOperation| {
        operation.probes = vec![probe(cutover_engine::Per::Step, 10, 0)];
    };
    let mut world = World::new(Draft::new().step("copy", shape, &[("a", "x", &[])]).plan(|_| {}));
    let sampled = |world: &World| world.journal.iter().filter(|(_, event)| matches!(event, Event::Observed { .. })).count();
    while sampled(&world) < 3 {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Wait { until, .. } => world.now = until,
            other => panic!("{other:?}"),
        }
    }
    world.now = world.now.after(cutover_engine::Span::seconds(3_600));
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(sampled(&world), 11, "one at the start and ten seconds of one each");
}

#[test]
fn samples_of_which_none_passed_are_no_pass() {
    let shape = |_: &mut _, operation: &mut cutover_engine::PlannedOperation| {
        operation.probes = vec![probe(cutover_engine::Per::Step, 1, 9)];
    };
    let mut world = World::new(Draft::new().step("copy", shape, &[("a", "x", &[])]).plan(|_| {}));
    world.verdicts = vec![Verdict::Inconclusive, Verdict::Inconclusive];
    assert_eq!(world.finish(), Ending::RolledBack);
}

#[test]
fn a_change_is_told_of_the_one_before_it_on_its_object_only_if_that_wrote() {
    let follows = |is_present: bool| {
        let plan = Draft::new().step("first", plain, &[("a", "x", &[])]).step("second", plain, &[("b", "x", &[])]).plan(|_| {});
        let mut world = World::new(plan);
        if is_present {
            world.values.insert("x".into(), "first/a".into());
        }
        let second = world.change("second/b");
        loop {
            match take(&mut world) {
                Command::Apply { change, follows, .. } if change == second => {
                    return follows.map(|before| before == world.change("first/a"));
                }
                other => world.perform(other),
            }
        }
    };
    assert_eq!((follows(false), follows(true)), (Some(true), None));
}
