//! Nothing can be reached for a while.

use cutover_engine::{Cause, Ending, Event, Next, Phase, PlannedOperation, PlannedStep, Span, StuckReason, Timestamp, WaitReason};

use crate::{
    draft::{Draft, dual_run, plain, retires},
    world::{Fault, World},
};

fn one() -> World {
    World::new(Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {}))
}

/// Runs until it waits for the end of an outage; says until when, and since when it stands still.
fn until_it_waits(world: &mut World) -> (Timestamp, Timestamp) {
    loop {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Record(event) => world.record(event),
            Next::Wait { until, reason: WaitReason::Outage { since, .. } } => return (until, since),
            Next::Wait { until, .. } => world.now = until,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_outage_is_waited_out_however_long_and_nothing_goes_back() {
    let mut world = one();
    world.goes_away(3_600);
    let began = world.now;
    let mut pauses = Vec::new();
    while world.now < began.after(Span::seconds(3_600)) {
        let (until, since) = until_it_waits(&mut world);
        assert!(since < began.after(Span::seconds(10)), "its three attempts are over by then");
        pauses.push(until.since(world.now));
        world.now = until;
    }
    assert!(pauses.iter().all(|pause| *pause <= Span(37_500)), "30 s with a quarter of jitter: {pauses:?}");
    assert!(pauses.len() < 150, "{} attempts in an hour", pauses.len());
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.calls, ["apply copy/a"]);
    assert_eq!(world.run.outages().count(), 0);
}

#[test]
fn a_run_that_waits_tells_what_it_waits_for_and_a_resume_tries_at_once() {
    let mut world = one();
    world.goes_away(100);
    let (until, since) = until_it_waits(&mut world);
    let waits: Vec<_> = world.run.outages().map(|(change, since, failure)| (change, since, failure.text.clone())).collect();
    assert_eq!(waits, [(world.change("copy/a"), since, "the server is sealed".to_owned())]);
    world.record(Event::Ended { ending: Ending::Waiting { until } });

    world.now = world.now.after(Span::seconds(10));
    let resumed_at = world.now;
    world.crash();
    let (_, since) = until_it_waits(&mut world);
    assert!(since >= resumed_at, "another process has a budget of its own");
    let (until, _) = until_it_waits(&mut world);
    world.record(Event::Ended { ending: Ending::Waiting { until } });

    world.now = resumed_at.after(Span::seconds(100));
    let back = world.now;
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.now, back, "nobody waits for the end of a pause after a resume");
}

#[test]
fn a_lost_answer_and_then_an_outage_is_one_write() {
    let mut world = one();
    world.fault("copy/a", Fault::Lost);
    while world.calls.is_empty() {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    world.goes_away(500);
    until_it_waits(&mut world);
    assert_eq!(world.run.phase(world.change("copy/a")), Phase::Unknown);
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.calls, ["apply copy/a"]);
}

#[test]
fn a_step_may_bound_its_outages() {
    let bounded = |_: &mut PlannedStep, operation: &mut PlannedOperation| operation.outage = Some(Span::seconds(60));
    let plan = Draft::new().step("first", plain, &[("f", "w", &[])]).step("copy", bounded, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    while world.run.phase(world.change("first/f")) != Phase::Verified {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    let began = world.now;
    world.goes_away(70);
    assert_eq!(world.finish(), Ending::Stuck, "the way back cannot be walked either");
    assert_eq!(world.run.cause(), Some(&Cause::Change { change: world.change("copy/a") }));
    assert!(world.now > began.after(Span::seconds(60)) && world.now < began.after(Span::seconds(70)));
    world.outage = Timestamp(0)..Timestamp(0);
    world.crash();
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.values.is_empty());
}

#[test]
fn a_step_may_have_no_patience_at_all() {
    let impatient = |_: &mut PlannedStep, operation: &mut PlannedOperation| operation.outage = Some(Span(0));
    let mut world = World::new(Draft::new().step("copy", impatient, &[("a", "x", &[])]).plan(|_| {}));
    let began = world.now;
    world.goes_away(60);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert!(world.now < began.after(Span::seconds(5)), "1 s and 2 s between its three attempts");
}

#[test]
fn an_outage_on_the_way_back_is_stuck_and_both_commands_go_on() {
    for asked_again in [true, false] {
        let plan =
            Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).step("last", plain, &[("f", "z", &[])]).plan(|_| {});
        let mut world = World::new(plan);
        world.fault("last/f", Fault::CheckFails);
        while !world.run.goes_backward() {
            match world.run.next(world.now) {
                Next::Do(command) => world.perform(command),
                Next::Record(event) => world.record(event),
                other => panic!("{other:?}"),
            }
        }
        world.goes_away(3_600);
        assert_eq!(world.finish(), Ending::Stuck);
        let open: Vec<_> = world.run.open().map(|open| open.reason).collect();
        assert_eq!(open, [StuckReason::Unreadable; 3]);
        assert_eq!(world.values.len(), 3, "nothing was written");
        world.now = world.outage.end;
        if asked_again {
            world.record(Event::RollbackRequested { over: Vec::new() });
        } else {
            world.crash();
        }
        assert_eq!(world.finish(), Ending::RolledBack);
        assert!(world.values.is_empty());
    }
}

#[test]
fn a_change_that_goes_back_alone_waits_too() {
    let tolerant = |_: &mut PlannedStep, operation: &mut PlannedOperation| operation.max_failed = 1;
    let mut world = World::new(Draft::new().step("copy", tolerant, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {}));
    world.fault("copy/a", Fault::CheckFails);
    let failed = |world: &World| world.journal.iter().any(|(_, event)| matches!(event, Event::Checked { .. }));
    while !failed(&world) {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    world.goes_away(600);
    until_it_waits(&mut world);
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.run.phase(world.change("copy/a")), Phase::RolledBack);
    assert_eq!(world.values.len(), 1);
}

#[test]
fn the_deadline_of_a_dual_run_ends_the_waiting() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[])])
        .gate("settle", 10)
        .step("retire", retires(0), &[("a", "old", &["a"])])
        .plan(dual_run(0, 2, 0, 200));
    let mut world = World::new(plan);
    while world.run.phase(world.change("copy/a")) != Phase::Verified {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    world.goes_away(190);
    world.outage.end = world.now.after(Span::seconds(205));
    assert_eq!(world.finish(), Ending::Stuck);
    assert!(matches!(world.run.cause(), Some(Cause::DualRun { .. })));
    assert!(!world.values.contains_key("old"));
}

#[test]
fn a_stop_ends_the_waiting_at_once() {
    let mut world = one();
    world.goes_away(600);
    until_it_waits(&mut world);
    let now = world.now;
    world.record(Event::StopRequested {});
    assert_eq!(world.finish(), Ending::Interrupted);
    assert_eq!(world.now, now);
    world.now = world.outage.end;
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
}

#[test]
fn a_retirement_that_waited_looks_at_its_copy_again_when_it_is_resumed() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("retire", retires(0), &[("a", "old", &["a"])]).plan(|_| {});
    let mut world = World::new(plan);
    let captured = |world: &World| world.run.is_captured(world.change("retire/a"));
    while !captured(&world) {
        let Next::Do(command) = world.run.next(world.now) else { panic!("a command") };
        world.perform(command);
    }
    world.goes_away(600);
    let (until, _) = until_it_waits(&mut world);
    world.record(Event::Ended { ending: Ending::Waiting { until } });
    world.now = world.outage.end;
    let copied = world.change("copy/a");
    world.wanted.insert(copied, "newer".into());
    world.crash();
    assert_eq!(world.finish(), Ending::Paused);
    assert!(!world.values.contains_key("old"), "nothing is retired on a stale copy");
}
