//! Files of the host that somebody changed, took away or had no room for.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use cutover_engine::{Ending, Event, RunId, Span};
use cutover_runtime::{
    clock::SystemClock,
    connection::Kinds,
    disk::{Disk as _, Fault, MemoryDisk, SystemDisk},
    drive::DriveError,
    journal::{Anchor, JournalError},
    key::{Key, KeyError},
    runs::HostError,
    sealed_log::SealedLogError,
    state::{StateError, StateFolder},
};
use cutover_tests::Rig;

use crate::scene::{PLUGINS, RETIRE, Scene, TestClock, copy};

const GATE: &str = "[[step]]\nid = \"pause\"\ngate = \"wait\"\nfor = \"1h\"\n";

/// A run that waits between copying and retiring.
struct Halfway {
    scene: Scene,
    clock: Arc<TestClock>,
    id: RunId,
    head: Anchor,
}

impl Halfway {
    async fn new() -> Self {
        let clock = TestClock::new();
        let mut scene = Scene::at(clock.clone()).with_files(2);
        scene.rig.host.longest_wait = Span::seconds(60);
        let (rested, events) = scene.rig.run(&scene.workflow("", "", &[&copy(""), GATE, RETIRE]), &PLUGINS).await.expect("a run");
        assert!(matches!(rested.ending, Ending::Waiting { .. }), "{events:#?}");
        clock.advance(Span::seconds(3_601));
        Self { scene, clock, id: rested.id, head: rested.head }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scene.rig.path("state/runs").join(self.id.as_str()).join(name)
    }

    async fn refused(&self, anchor: Option<Anchor>) -> HostError {
        let world = self.scene.tree();
        let result = self.scene.rig.host.resume(&self.id, anchor, std::future::pending(), Box::new(|_, _, _| {})).await;
        assert_eq!(self.scene.tree(), world, "nothing was touched");
        result.err().expect("the damage is noticed")
    }

    /// What was repaired goes on to the end of an undisturbed run.
    async fn ends_well(self) {
        self.clock.advance(Span::seconds(1));
        let (rested, events) = self.scene.rig.resume(&self.id).await.expect("a resume after the repair");
        assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
        let names: Vec<String> = self.scene.tree().into_keys().collect();
        assert_eq!(names, ["legacy/a00.env.retired", "legacy/a01.env.retired", "store/a00/KEY.json.age", "store/a01/KEY.json.age"]);
    }
}

/// Every byte of a text, or evenly spread ones of a long text.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by((length / 400).max(1)).chain([length - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_with_one_byte_changed_is_refused() {
    let scene = Scene::new().with_files(2);
    let prepared = scene.rig.prepare(&scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a plan");
    let text = scene.rig.host.with_key(&prepared).expect("a text").into_bytes();
    let path = scene.rig.path("saved.plan");
    let components = prepared.components;
    let available = |digest| components.get(&digest).cloned();
    for place in places(text.len()) {
        let mut changed = text.clone();
        changed[place] ^= 1;
        fs::write(&path, &changed).expect("a file");
        match scene.rig.host.read_plan(&path, available).await.err() {
            Some(HostError::Plan { .. } | HostError::PlanWithoutKey { .. } | HostError::Key(_)) => {}
            other => panic!("byte {place} of {}: {other:?}", text.len()),
        }
    }
    let mut changed = text.clone();
    changed[40] ^= 1;
    fs::write(&path, &changed).expect("a file");
    let error = scene.rig.host.read_plan(&path, available).await.err().expect("it was changed");
    assert!(error.to_string().contains("somebody changed it"), "{error}");
    fs::write(&path, &text).expect("a file");
    let prepared = scene.rig.host.read_plan(&path, available).await.expect("the true plan");
    let (rested, _) = scene.rig.start(prepared, true).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_with_one_byte_changed_is_refused_and_left_as_it_is() {
    let halfway = Halfway::new().await;
    let path = halfway.file("journal.jsonl");
    let whole = fs::read(&path).expect("a journal");
    let host = &halfway.scene.rig.host;
    for place in places(whole.len()) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(&path, &changed).expect("a file");
        match host.show(&halfway.id, Some(halfway.head), |_, _, _| {}).err() {
            Some(HostError::Journal(JournalError::Corrupt { .. } | JournalError::Anchor { .. })) => {}
            other => panic!("byte {place} of {}: {other:?}", whole.len()),
        }
        // Only the very last byte may look like a line that was being written when the machine stopped.
        let unanchored = host.show(&halfway.id, None, |_, _, _| {});
        assert!(unanchored.is_err() || place + 1 == whole.len(), "byte {place}");
    }
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    fs::write(&path, &changed).expect("a file");
    let error = halfway.refused(None).await;
    let HostError::State(StateError::Journal(error @ JournalError::Corrupt { .. })) = error else { panic!("{error:?}") };
    assert_eq!(error.code(), "CUT4010");
    assert!(error.to_string().contains("restore the file from a copy"), "{error}");
    assert_eq!(fs::read(&path).expect("a journal"), changed, "evidence is not touched");
    fs::write(&path, &whole).expect("a file");
    halfway.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_cut_at_a_record_is_noticed_with_the_head_that_was_printed() {
    let halfway = Halfway::new().await;
    let path = halfway.file("journal.jsonl");
    let whole = fs::read(&path).expect("a journal");
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for end in &ends[..ends.len() - 1] {
        fs::write(&path, &whole[..*end]).expect("a file");
        let error = halfway.scene.rig.host.show(&halfway.id, Some(halfway.head), |_, _, _| {}).err();
        assert!(matches!(error, Some(HostError::Journal(JournalError::Anchor { .. }))), "cut at {end}: {error:?}");
    }
    fs::write(&path, &whole[..ends[ends.len() - 2]]).expect("a file");
    let error = halfway.refused(Some(halfway.head)).await;
    let HostError::State(StateError::Journal(error)) = error else { panic!("{error:?}") };
    assert_eq!(error.code(), "CUT4011");
    assert!(error.to_string().contains("it was cut or is an old copy"), "{error}");
    fs::write(&path, &whole).expect("a file");
    halfway.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_state_key_opens_nothing() {
    let mut halfway = Halfway::new().await;
    let key = std::mem::replace(&mut halfway.scene.rig.host.state_key, Key::from_bytes([2; 32]));
    let error = halfway.refused(None).await;
    assert!(matches!(error, HostError::Key(KeyError::WrongStateKey { .. })), "{error:?}");
    assert!(error.to_string().contains("this is not the state key of this run"), "{error}");
    halfway.scene.rig.host.state_key = key;
    halfway.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_run_are_those_it_was_begun_with() {
    let halfway = Halfway::new().await;
    let components: Vec<PathBuf> =
        fs::read_dir(halfway.file("components")).expect("a folder").flatten().map(|entry| entry.path()).collect();
    assert_eq!(components.len(), 2);
    let [first, second] = [fs::read(&components[0]), fs::read(&components[1])].map(|bytes| bytes.expect("a component"));
    for (replaced, by) in [(&components[0], &second), (&components[1], &b"no component".to_vec())] {
        let before = fs::read(replaced).expect("a component");
        fs::write(replaced, by).expect("a file");
        let error = halfway.refused(None).await;
        assert!(matches!(error, HostError::OtherPlugin { .. }), "{error:?}");
        fs::write(replaced, before).expect("a file");
    }
    assert_eq!(fs::read(&components[0]).expect("a component"), first);

    let plan = halfway.file("plan.jsonl");
    let whole = fs::read(&plan).expect("a plan");
    for place in places(whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(&plan, &changed).expect("a file");
        let error = halfway.refused(None).await;
        let told = matches!(error, HostError::Plan { .. } | HostError::PlanWithoutKey { .. } | HostError::Key(_));
        assert!(told, "byte {place}: {error:?}");
    }
    fs::remove_file(&plan).expect("it is there");
    let error = halfway.refused(None).await;
    assert!(error.to_string().contains("plan.jsonl"), "{error}");
    fs::write(&plan, whole).expect("a file");

    halfway.ends_well().await;
}

/// Where the entries of a sealed log begin, with their kinds, as `sealed_log.rs` describes the file.
fn entries(log: &[u8]) -> Vec<(usize, u8)> {
    let (mut at, mut found) = (16, Vec::new());
    while let Some(head) = log.get(at..at + 13) {
        found.push((at, head[4]));
        at += 13 + u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_image_that_was_changed_is_never_used() {
    let halfway = Halfway::new().await;
    let sealed = halfway.file("sealed.log");
    // The log only grows, so that the same places are changed and mended.
    let flip = |places: &[usize]| {
        let mut bytes = fs::read(&sealed).expect("a log");
        places.iter().for_each(|place| bytes[*place] ^= 1);
        fs::write(&sealed, bytes).expect("a file");
    };
    let found = entries(&fs::read(&sealed).expect("a log"));
    let pre_images: Vec<usize> = found.iter().filter(|(_, kind)| *kind == 1).map(|(at, _)| at + 13 + 30).collect();
    assert_eq!(pre_images.len(), 2);

    let in_a_header = [found[2].0 + 5];
    flip(&in_a_header);
    let error = halfway.refused(None).await;
    assert!(matches!(error, HostError::State(StateError::SealedLog(_))), "{error:?}");
    flip(&in_a_header);

    flip(&pre_images);
    let world = halfway.scene.tree();
    let error = halfway.scene.rig.rollback(&halfway.id, &[]).await.err().expect("the damage is noticed");
    assert!(matches!(error, HostError::Drive(DriveError::Sealed(SealedLogError::Payload { .. }))), "{error:?}");
    assert_eq!(halfway.scene.tree(), world, "nothing is written from what cannot be trusted");
    flip(&pre_images);
    let (rested, events) = halfway.scene.rig.rollback(&halfway.id, &[]).await.expect("a rollback after the repair");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert_eq!(halfway.scene.tree().into_keys().collect::<Vec<_>>(), ["legacy/a00.env", "legacy/a01.env"]);
}

#[test]
fn a_state_folder_that_others_can_write_or_nobody_can_read_is_refused() {
    let rig = Rig::new();
    let open = |name: &str| StateFolder::open(Arc::new(SystemDisk), &rig.path(name));
    fs::set_permissions(rig.path("state"), fs::Permissions::from_mode(0o770)).expect("my folder");
    let error = open("state").expect_err("others can write to it");
    assert!(matches!(error, StateError::Exposed { .. }), "{error:?}");
    assert!(error.to_string().contains("chmod 700"), "{error}");
    fs::set_permissions(rig.path("state"), fs::Permissions::from_mode(0o700)).expect("my folder");
    open("state").expect("it is mine again");
    // Mode bits hold back everybody but root; a file in its place also root.
    rig.write("taken/runs", "no folder");
    let error = open("taken").expect_err("there is no folder");
    assert!(matches!(error, StateError::Disk(_)), "{error:?}");
    assert!(error.to_string().contains("runs"), "{error}");
}

fn is_full(error: &HostError) -> bool {
    let journal = match error {
        HostError::Drive(DriveError::Journal(error)) | HostError::Journal(error) | HostError::State(StateError::Journal(error)) => error,
        HostError::Disk(error) | HostError::State(StateError::Disk(error)) => return error.code() == "CUT4001",
        _ => return false,
    };
    journal.code() == "CUT4001"
}

/// Fills the disk at the `at`-th event, then makes room and goes on.
async fn filled(at: usize) -> Ending {
    let disk = MemoryDisk::new();
    let scene = Scene::on(Rig::with(Arc::new(disk.clone()), Arc::new(SystemClock), Kinds::system())).with_files(3);
    let before = scene.tree();
    let text = scene.workflow("", "", &[&copy(""), RETIRE]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    let id = scene.rig.host.new_id();
    let (mut seen, full) = (0, disk.clone());
    let observer = Box::new(move |_: &_, _: _, _: &Event| {
        seen += 1;
        if seen == at {
            full.inject(Fault::Capacity(0));
        }
    });
    let result = scene.rig.host.start(id.clone(), prepared, false, std::future::pending(), observer).await;
    disk.clear_faults();
    let ending = match result {
        Ok(rested) => rested.ending,
        Err(error) => {
            assert!(is_full(&error), "event {at}: {error:?}");
            match scene.rig.resume(&id).await {
                Ok((rested, events)) => {
                    assert!(matches!(rested.ending, Ending::Completed | Ending::RolledBack), "event {at}: {events:#?}");
                    rested.ending
                }
                Err(error) => panic!("event {at}: {error:?}"),
            }
        }
    };
    if ending == Ending::Completed {
        let names: Vec<String> = scene.tree().into_keys().collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("store/")).count(), 3, "event {at}: {names:?}");
        assert_eq!(names.iter().filter(|name| name.ends_with(".retired")).count(), 3, "event {at}: {names:?}");
        let (rested, events) = scene.rig.rollback(&id, &[]).await.expect("a rollback");
        assert_eq!(rested.ending, Ending::RolledBack, "event {at}: {events:#?}");
    }
    assert_eq!(scene.tree(), before, "event {at}: pre-images are whole");
    ending
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let mut completed = 0;
    for at in [2, 9, 20, 27, 35] {
        completed += usize::from(filled(at).await == Ending::Completed);
    }
    assert!(completed >= 4, "most runs go on to the end once there is room: {completed} of 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_begin_on_a_disk_without_room() {
    let disk = MemoryDisk::new();
    let scene = Scene::on(Rig::with(Arc::new(disk.clone()), Arc::new(SystemClock), Kinds::system())).with_files(1);
    let text = scene.workflow("", "", &[&copy("")]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    let before = scene.tree();
    disk.inject(Fault::Capacity(1024 * 1024));
    let error = scene.rig.start(prepared, false).await.err().expect("there is no room");
    assert!(is_full(&error), "{error:?}");
    assert!(error.to_string().contains("free at least 64 MiB"), "{error}");
    assert_eq!(scene.tree(), before);
    assert!(disk.list(&scene.rig.path("state/runs")).expect("a folder").is_empty());
    disk.clear_faults();
    let (rested, _) = scene.rig.run(&text, &PLUGINS).await.expect("there is room now");
    assert_eq!(rested.ending, Ending::Completed);
}
