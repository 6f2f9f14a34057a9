//! The way forward.

use cutover_engine::{
    Cause, Cohort, Command, Ending, Event, Next, Per, Phase, PlanError, PlannedOperation, PlannedStep, Span, StepNo, StepPhase, Verdict,
    WaitReason,
};

use crate::{
    draft::{Draft, dual_run, pause, plain, probe, retires},
    world::{Fault, World},
};

#[test]
fn applies_verifies_and_ends() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.values["x"], "copy/a");
    assert_eq!(world.run.phase(world.change("copy/b")), Phase::Verified);
}

#[test]
fn what_is_as_wanted_is_present_and_not_written() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.values.insert("x".into(), "copy/a".into());
    assert_eq!(world.finish(), Ending::Completed);
    assert!(world.calls.is_empty() && world.run.is_present(world.change("copy/a")));
}

#[test]
fn a_failure_that_may_pass_is_tried_again_after_a_growing_pause() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Unavailable);
    let before = world.now;
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.calls.len(), 3);
    assert!(world.now >= before.after(Span::seconds(3)), "1 s, then 2 s");
}

#[test]
fn a_plugin_that_says_done_without_doing_is_found_out() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Lies);
    assert_eq!(world.finish(), Ending::Paused);
    assert_eq!(world.run.failure(world.change("copy/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3505"));
}

#[test]
fn a_lost_answer_is_resolved_by_the_world() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("copy/a", Fault::Lost);
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.calls, ["apply copy/a"], "the world was as expected: nothing is written twice");
}

#[test]
fn changes_on_one_object_happen_in_order_and_never_together() {
    let shape = |_: &mut _, operation: &mut PlannedOperation| operation.parallel = 16;
    let plan = Draft::new().step("shift", shape, &[("10", "w", &[]), ("50", "w", &[]), ("100", "w", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.calls, ["apply shift/10", "apply shift/50", "apply shift/100"]);
}

#[test]
fn a_cohort_waits_for_the_probe_of_the_one_before() {
    let shape = |_: &mut _, operation: &mut PlannedOperation| {
        operation.cohorts = vec![Cohort::Count(1), Cohort::Percent(100)];
        operation.probes = vec![probe(Per::Cohort, 2, 0)];
    };
    let plan = Draft::new().step("copy", shape, &[("a", "x", &[]), ("b", "y", &[]), ("c", "z", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.verdicts = vec![Verdict::Pass, Verdict::Pass, Verdict::Fail];
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.calls, ["apply copy/a", "roll back copy/a"], "the second cohort was never touched");
    assert!(matches!(world.run.cause(), Some(Cause::Probe { step: StepNo(0), .. })));
}

#[test]
fn inconclusive_samples_are_never_a_pass() {
    let shape = |_: &mut _, operation: &mut PlannedOperation| operation.probes = vec![probe(Per::Step, 1, 1)];
    let plan = Draft::new().step("copy", shape, &[("a", "x", &[])]).plan(pause);
    let mut world = World::new(plan.clone());
    world.verdicts = vec![Verdict::Inconclusive, Verdict::Inconclusive];
    assert_eq!(world.finish(), Ending::Paused);
    world.record(Event::Resumed {});
    assert_eq!(world.finish(), Ending::Completed, "after a person looked, the probe starts afresh");

    let mut world = World::new(plan);
    world.verdicts = vec![Verdict::Inconclusive];
    assert_eq!(world.finish(), Ending::Completed, "one of two may be without result");
}

#[test]
fn a_probe_per_change_holds_that_change() {
    let shape = |_: &mut _, operation: &mut PlannedOperation| {
        operation.parallel = 1;
        operation.max_failed = 1;
        operation.probes = vec![probe(Per::Change, 0, 0)];
    };
    let plan = Draft::new().step("copy", shape, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.verdicts = vec![Verdict::Fail];
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.run.phase(world.change("copy/a")), Phase::RolledBack, "within max_failed it goes back alone");
    assert!(!world.values.contains_key("x") && world.values.contains_key("y"));
}

#[test]
fn a_process_that_dies_in_the_middle_of_a_write_costs_no_attempt() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    let change = world.change("copy/a");
    let mut deaths = 0;
    let ending = loop {
        match world.run.next(world.now) {
            Next::Do(Command::Apply { attempt, .. }) if deaths < 10 => {
                assert_eq!(attempt, 1, "after {deaths} deaths");
                world.record(Event::ApplyStarted { change, attempt });
                world.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
                world.crash();
                deaths += 1;
            }
            Next::Do(command) => world.perform(command),
            Next::Record(event) => world.record(event),
            Next::Wait { until, .. } => world.now = until,
            Next::Ended(ending) => break ending,
            Next::Busy { .. } => panic!("nothing is in flight"),
        }
    };
    assert_eq!((ending, deaths), (Ending::Completed, 10));
}

#[test]
fn a_wait_is_a_timer_of_the_host() {
    let plan = Draft::new().step("order", plain, &[("a", "x", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    world.fault("order/a", Fault::Waits);
    let before = world.now;
    assert_eq!(world.finish(), Ending::Completed);
    assert!(world.now >= before.after(Span::seconds(90)));
}

#[test]
fn a_wait_beyond_the_deadline_fails_the_change() {
    let shape = |_: &mut _, operation: &mut PlannedOperation| operation.deadline = Span::seconds(60);
    let plan = Draft::new().step("order", shape, &[("a", "x", &[])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("order/a", Fault::Waits);
    assert_eq!(world.finish(), Ending::Paused);
    assert_eq!(world.run.failure(world.change("order/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3504"));
}

#[test]
fn a_gate_and_the_soak_are_waited_out() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[])])
        .gate("settle", 30)
        .step("retire", retires(0), &[("a", "old", &["a"])])
        .plan(dual_run(0, 2, 100, 200));
    let mut world = World::new(plan);
    let before = world.now;
    let mut reasons = Vec::new();
    loop {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Record(event) => world.record(event),
            Next::Wait { until, reason } => {
                reasons.push(reason);
                world.now = until;
            }
            Next::Ended(ending) => break assert_eq!(ending, Ending::Completed),
            Next::Busy { .. } => panic!("nothing is in flight"),
        }
    }
    assert_eq!(reasons, [WaitReason::Gate(StepNo(1)), WaitReason::Soak(StepNo(2))]);
    assert_eq!(world.now, before.after(Span::seconds(100)));
    assert_eq!(world.run.phase(world.change("retire/a")), Phase::Proven);
    assert_eq!(world.run.dual_run_deadline(), None);
}

#[test]
fn a_dual_run_past_its_deadline_fails_the_step_that_should_end_it() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[])])
        .gate("settle", 500)
        .step("retire", retires(0), &[("a", "old", &["a"])])
        .plan(dual_run(0, 2, 0, 200));
    let mut world = World::new(plan);
    assert_eq!(world.finish(), Ending::RolledBack);
    assert_eq!(world.run.cause(), Some(&Cause::DualRun { step: StepNo(2) }));
    assert!(!world.values.contains_key("x"));
}

#[test]
fn a_moved_source_pauses_before_anything_is_retired() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])])
        .gate("settle", 10)
        .step("retire", retires(0), &[("a", "old-a", &["a"]), ("b", "old-b", &["b"])])
        .plan(|_| {});
    let mut world = World::new(plan);
    let copied = world.change("copy/a");
    let ending = loop {
        match world.run.next(world.now) {
            Next::Do(command) => world.perform(command),
            Next::Record(event) => world.record(event),
            Next::Wait { until, .. } => {
                world.now = until;
                world.wanted.insert(copied, "newer".into());
            }
            Next::Ended(ending) => break ending,
            Next::Busy { .. } => panic!("nothing is in flight"),
        }
    };
    assert_eq!(ending, Ending::Paused);
    assert_eq!(world.run.cause(), Some(&Cause::Stale { change: copied }));
    assert!(!world.values.contains_key("old-a"), "nothing was retired on a stale copy");
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.values["x"], "newer");
    assert!(world.values.contains_key("old-a") && world.values.contains_key("old-b"));
    assert!(!world.run.is_stale(copied));
}

#[test]
fn a_target_that_moved_is_a_conflict_and_nothing_is_retired() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[])])
        .gate("settle", 10)
        .step("retire", retires(0), &[("a", "old", &["a"])])
        .plan(pause);
    let mut world = World::new(plan);
    assert_eq!(world.finish_meddling(|world| drop(world.values.insert("x".into(), "foreign".into()))), Ending::Paused);
    assert_eq!(world.run.failure(world.change("retire/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3501"));
    assert!(!world.values.contains_key("old"));
    world.crash();
    assert_eq!(world.finish(), Ending::Paused, "a resume looks again before it retires anything");
    assert!(!world.values.contains_key("old"));
}

#[test]
fn deferred_changes_take_along_what_links_them() {
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])])
        .step("retire", retires(0), &[("a", "old-a", &["a"]), ("b", "old-b", &["b"])])
        .plan(|_| {});
    let mut world = World::new(plan.clone());
    world.run = cutover_engine::Run::new(plan.clone());
    world.journal.clear();
    let left_out = world.change("copy/a");
    world.record(Event::Started { plan: plan.digest, deferred: vec![left_out] });
    assert_eq!(world.finish(), Ending::Completed);
    assert_eq!(world.run.phase(world.change("retire/a")), Phase::Deferred);
    assert!(world.values.contains_key("old-b") && !world.values.contains_key("old-a"));
}

#[test]
fn steps_on_one_object_without_an_order_do_not_plan() {
    let unordered = |step: &mut PlannedStep, _: &mut _| step.needs.clear();
    let errors = Draft::new().step("one", plain, &[("a", "x", &[])]).step("two", unordered, &[("a", "x", &[])]).try_plan(|_| {});
    assert!(
        matches!(&errors.expect_err("a contradiction")[..], [PlanError::Unordered { first, second, .. }] if first == "one" && second == "two")
    );
}

#[test]
fn while_a_retirement_waits_its_copy_may_move_and_is_looked_at_again() {
    for fault in [Fault::Waits, Fault::Unavailable] {
        let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("retire", retires(0), &[("a", "old", &["a"])]).plan(pause);
        let mut world = World::new(plan.clone());
        world.fault("retire/a", fault);
        assert_eq!(world.finish_meddling(|world| drop(world.values.insert("x".into(), "foreign".into()))), Ending::Paused, "{fault:?}");
        assert_eq!(world.run.failure(world.change("retire/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3501"), "{fault:?}");
        assert!(!world.values.contains_key("old"), "{fault:?}: nothing was retired");

        let mut world = World::new(plan);
        world.fault("retire/a", fault);
        assert_eq!(world.finish(), Ending::Completed, "{fault:?}: left alone it goes on where it was");
    }
}

#[test]
fn a_backend_that_only_one_of_several_looks_needs_is_waited_for_as_long_as_was_said() {
    let patient = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        retires(0)(step, operation);
        operation.outage = Some(Span::seconds(600));
    };
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])])
        .step("retire", patient, &[("both", "old", &["a", "b"])])
        .plan(pause);
    let mut world = World::new(plan);
    world.fault("copy/b", Fault::Dark);
    let begin = world.now;
    assert_eq!(world.finish(), Ending::Paused);
    let waited = world.now.since(begin);
    assert!(waited >= Span::seconds(600) && waited < Span::seconds(900), "{waited:?}");
    world.faults.clear();
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
}

#[test]
fn a_retirement_in_the_middle_of_its_turn_waits_for_a_soak_that_begins_anew() {
    let both = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        retires(0)(step, operation);
        operation.parallel = 2;
    };
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])])
        .step("retire", both, &[("a", "old-a", &["a"]), ("b", "old-b", &["b"])])
        .plan(dual_run(0, 1, 1_000, 100_000));
    let mut world = World::new(plan);
    world.fault("retire/b", Fault::Waits);
    let (moved, value) = (world.change("copy/a"), "copy/a of another day");
    assert_eq!(world.finish_meddling(|world| drop(world.wanted.insert(moved, value.into()))), Ending::Paused);
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
    let retire = world.change("retire/b");
    let applied = |change| move |event: &Event| matches!(event, Event::ApplyStarted { change: started, .. } if *started == change);
    let last = |is: &dyn Fn(&Event) -> bool| world.journal.iter().rev().find(|(_, event)| is(event)).map(|(at, _)| *at);
    let (copied, retired) = (last(&applied(moved)).expect("copied again"), last(&applied(retire)).expect("retired"));
    assert!(retired >= copied.after(Span::seconds(1_000)), "{copied:?} {retired:?}");
}

#[test]
fn a_retirement_that_failed_without_a_write_looks_at_its_copy_again_when_it_is_resumed() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("retire", retires(0), &[("a", "old", &["a"])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("retire/a", Fault::Denied);
    assert_eq!(world.finish(), Ending::Paused);
    world.faults.clear();
    world.values.remove("x");
    world.crash();
    assert_eq!(world.finish(), Ending::Paused);
    assert_eq!(world.run.failure(world.change("retire/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3501"));
    assert!(!world.values.contains_key("old"), "nothing was retired");
    world.values.insert("x".into(), "copy/a".into());
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
}

#[test]
fn a_copy_behind_a_retirement_is_looked_at_before_the_way_back_is_given_up() {
    let destroys = |step: &mut PlannedStep, operation: &mut PlannedOperation| {
        retires(1)(step, operation);
        operation.irreversible = true;
    };
    let plan = Draft::new()
        .step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])])
        .step("retire", retires(0), &[("a", "old-a", &["a"]), ("b", "old-b", &["b"])])
        .gate("soak", 60)
        .step("destroy", destroys, &[("a", "rest", &["a", "b"])])
        .plan(|_| {});
    let mut world = World::new(plan);
    assert_eq!(world.finish_meddling(|world| drop(world.values.insert("y".into(), "foreign".into()))), Ending::Paused, "nothing goes back");
    assert_eq!(world.run.failure(world.change("destroy/a")).and_then(|failure| failure.code.as_deref()), Some("CUT3501"));
    assert!(!world.values.contains_key("rest"), "nothing was destroyed");
    world.values.insert("y".into(), "copy/b".into());
    world.crash();
    assert_eq!(world.finish(), Ending::Completed, "as it was verified, the retirements may be made final");
}

#[test]
fn a_retire_change_without_a_link_does_not_plan() {
    let errors = Draft::new().step("copy", plain, &[("a", "x", &[])]).step("retire", retires(0), &[("a", "old", &[])]).try_plan(|_| {});
    assert!(matches!(&errors.expect_err("a contradiction")[..], [PlanError::RetiresUnlinked { .. }]));
}

#[test]
fn a_change_with_a_conflict_is_never_planned_for_a_run() {
    let crowded = |first: &[(&str, &str, &[&str])]| {
        let draft = Draft::new().step("copy", plain, first);
        (0..7).fold(draft, |draft, number| draft.conflict(&format!("c{number}"), &format!("x{number}"), "it is taken"))
    };
    let errors = crowded(&[("a", "x", &[])]).try_plan(|_| {}).expect_err("a contradiction");
    assert!(matches!(&errors[..], [PlanError::Conflict { count: 7, first, .. }] if first.len() == 5), "{errors:?}");
    let text = errors[0].to_string();
    assert!(text.contains("7 change(s)") && text.contains("`c0`: it is taken") && text.ends_with("; and 2 more"), "{text}");

    let again = crowded(&[("a", "x", &[])]).again().expect("it is only compared");
    let taken: Vec<String> =
        again.changes().filter(|(change, _)| again.conflict(*change).is_some()).map(|(change, _)| again.name_of(change)).collect();
    assert_eq!((taken.len(), taken[0].as_str()), (7, "copy/c0"));
}

#[test]
fn a_stored_plan_with_a_conflict_in_it_is_not_read() {
    let (_, text) = Draft::new().step("copy", plain, &[("a", "x", &[])]).text();
    let lines = text.rsplit_once("{\"digest\"").expect("a trailer").0.replace(r#""by_hand":"#, r#""conflict":"taken","by_hand":"#);
    let forged = format!("{lines}{{\"digest\":\"{}\"}}\n", cutover_engine::Digest::of(lines.as_bytes()));
    let error = cutover_engine::Plan::read(&forged).expect_err("it has a conflict").to_string();
    assert!(error.contains("line 2") && error.contains("conflict"), "{error}");
}

#[test]
fn a_stored_plan_with_a_second_body_in_a_line_is_not_read() {
    let (_, text) = Draft::new().step("copy", plain, &[("a", "x", &[])]).text();
    let lines = text.rsplit_once("{\"digest\"").expect("a trailer").0;
    let (head, change) = lines.split_once('\n').expect("a header");
    let body = change.trim_end().split_once("\"body\":").and_then(|(_, rest)| rest.strip_suffix('}')).expect("a body");
    let other = body.replace("\"by_hand\":\"", "\"by_hand\":\"other");
    assert_ne!(body, other);
    // The digest is taken of what follows the first `"body":`; what is read must be that, too.
    for name in ["x\\\"body", "body"] {
        let lines = format!("{head}\n{{\"step\":0,\"body\" :{other},\"{name}\":{body}}}\n");
        let forged = format!("{lines}{{\"digest\":\"{}\"}}\n", cutover_engine::Digest::of(lines.as_bytes()));
        let error = cutover_engine::Plan::read(&forged).expect_err("it has two bodies").to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}

#[test]
fn independent_steps_run_side_by_side_and_are_told_apart() {
    let beside = |step: &mut PlannedStep, _: &mut _| step.needs.clear();
    let plan = Draft::new().step("one", plain, &[("a", "x", &[])]).step("two", beside, &[("a", "y", &[])]).plan(pause);
    let mut world = World::new(plan);
    world.fault("one/a", Fault::Denied);
    assert_eq!(world.finish(), Ending::Paused);
    let phases: Vec<_> = world.run.steps().map(|step| step.phase).collect();
    assert_eq!(phases[0], StepPhase::Failed);
}

#[test]
fn a_stop_ends_at_the_next_safe_point_and_is_resumed() {
    let plan = Draft::new().step("copy", plain, &[("a", "x", &[]), ("b", "y", &[])]).plan(|_| {});
    let mut world = World::new(plan);
    let Next::Do(first) = world.run.next(world.now) else { panic!("a command") };
    world.record(Event::StopRequested {});
    assert_eq!(world.run.next(world.now), Next::Busy { until: None }, "what is in flight ends first");
    world.perform(first);
    assert_eq!(world.finish(), Ending::Interrupted);
    world.crash();
    assert_eq!(world.finish(), Ending::Completed);
}
