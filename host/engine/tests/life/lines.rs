//! What plugins log is kept with a run, as far as there is room.

use cutover_engine::{ChangeNo, Ending, Event, HookKind, LineLevel, StepNo};

use crate::{
    draft::{Draft, plain},
    world::World,
};

fn two_steps() -> World {
    World::new(Draft::new().step("copy", plain, &[("a", "x", &[])]).step("more", plain, &[("b", "y", &[])]).plan(|_| {}))
}

fn line(level: LineLevel, text: &str) -> Event {
    Event::Logged { step: StepNo(0), change: Some(ChangeNo(0)), hook: HookKind::Apply, level, text: text.to_owned() }
}

#[test]
fn lines_change_nothing() {
    let (mut quiet, mut chatty) = (two_steps(), two_steps());
    chatty.record(line(LineLevel::Warn, "before"));
    assert_eq!((quiet.finish(), chatty.finish()), (Ending::Completed, Ending::Completed));
    chatty.record(line(LineLevel::Info, "after"));
    assert_eq!(quiet.calls, chatty.calls);
    assert!(quiet.run.steps().zip(chatty.run.steps()).all(|(left, right)| left.counts == right.counts));
}

#[test]
fn a_chatty_plugin_fills_its_room_and_leaves_warnings_theirs() {
    let mut world = two_steps();
    let text = "x".repeat(4_096);
    let mut kept = 0;
    let last = loop {
        let admitted = world.run.admit_line(LineLevel::Info, text.clone()).expect("a word that a line was left out comes first");
        world.record(line(LineLevel::Info, &admitted));
        kept += admitted.len();
        if admitted != text {
            break admitted;
        }
    };
    assert!(last.contains("left out") && kept < 8 * 1024 * 1024, "{kept} {last}");
    // Empty lines cost, too, and so do the words.
    let mut more = 0;
    while let Some(admitted) = world.run.admit_line(LineLevel::Info, String::new()) {
        world.record(line(LineLevel::Info, &admitted));
        more += 1;
    }
    assert!(more < 40, "{more}");
    assert_eq!(world.run.admit_line(LineLevel::Warn, "look".to_owned()).as_deref(), Some("look"));
}

#[test]
fn a_line_of_a_change_or_step_that_is_not_in_the_plan_is_refused() {
    let mut world = two_steps();
    for (step, change) in [(9, None), (0, Some(9)), (1, Some(0))] {
        let event = Event::Logged {
            step: StepNo(step),
            change: change.map(ChangeNo),
            hook: HookKind::Capture,
            level: LineLevel::Info,
            text: String::new(),
        };
        assert!(world.run.apply(world.now, &event).is_err(), "{step} {change:?}");
    }
}
