use std::sync::Mutex;

use super::*;
use crate::{
    disk::{Fault, MemoryDisk, RESERVE_BYTES},
    entropy::SystemEntropy,
    key::Key,
    sealed_log::Kind,
};
use cutover_engine::ChangeNo;

const FILE: &str = "journal.jsonl";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Began { change: ChangeNo },
    Note(String),
}

fn path() -> PathBuf {
    Path::new("/run").join(FILE)
}

fn run() -> RunId {
    RunId::new("20261122-014502-k3fd").unwrap()
}

fn header() -> Header {
    Header::new(run(), Digest::from_bytes([9; 32]))
}

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/run")).unwrap();
    disk
}

fn companions(disk: &MemoryDisk) -> (Arc<dyn Disk>, Arc<SealedLog>, Arc<Reserve>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let reserve = Arc::new(Reserve::hold(Arc::clone(&disk), PathBuf::from("/run/reserve")));
    let (sealed, _) = SealedLog::open(
        Arc::clone(&disk),
        Path::new("/run/sealed.log"),
        &run(),
        Key::from_bytes([1; 32]),
        Arc::new(SystemEntropy),
        Arc::clone(&reserve),
    )
    .unwrap();
    (disk, Arc::new(sealed), reserve)
}

fn create(disk: &MemoryDisk) -> (Journal<Event>, Arc<SealedLog>) {
    let (disk, sealed, reserve) = companions(disk);
    (Journal::create(disk, &path(), &header(), Arc::clone(&sealed), reserve).unwrap(), sealed)
}

fn open(disk: &MemoryDisk) -> Result<(Journal<Event>, Opened, Vec<Record<Event>>), JournalError> {
    let (disk, sealed, reserve) = companions(disk);
    let mut records = Vec::new();
    let (journal, opened) = Journal::open(disk, &path(), None, sealed, reserve, |record| {
        records.push(record);
        Ok(())
    })?;
    Ok((journal, opened, records))
}

fn show(disk: &MemoryDisk, anchor: Option<Anchor>) -> (Result<Opened, JournalError>, Vec<Record<Event>>) {
    let mut records = Vec::new();
    let opened = read_only(disk, &path(), anchor, |record| {
        records.push(record);
        Ok(())
    });
    (opened, records)
}

fn event(n: u64) -> Event {
    if n.is_multiple_of(3) { Event::Note(format!("line\nfeed {n}")) } else { Event::Began { change: ChangeNo(u32::try_from(n).unwrap()) } }
}

/// A journal of `count` records and what its file holds.
fn written(count: u64) -> (MemoryDisk, Vec<u8>) {
    let disk = disk();
    let (journal, _) = create(&disk);
    for n in 1..=count {
        journal.append(Timestamp(n), &event(n)).unwrap();
    }
    journal.close().unwrap();
    let bytes = disk.read(&path()).unwrap();
    (disk, bytes)
}

fn put(disk: &MemoryDisk, bytes: &[u8]) {
    disk.write_atomic(&path(), bytes).unwrap();
}

/// Waits for a future without a runtime of its own per test.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn gives_back_what_was_appended_and_goes_on() {
    let (disk, _) = written(40);
    let (journal, opened, records) = open(&disk).unwrap();
    assert_eq!((opened.header, opened.head.n, opened.torn_tail), (header(), 40, false));
    assert!(records.iter().zip(1..).all(|(record, n)| *record == Record { n, at: Timestamp(n), event: event(n) }));
    assert_eq!(journal.append(Timestamp(41), &event(41)).unwrap(), Lsn(41));
    let head = journal.close().unwrap();
    assert_eq!(show(&disk, Some(head)).1.len(), 41);
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (disk, bytes) = written(40);
    for at in 0..bytes.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            put(&disk, &damaged);
            let (result, records) = show(&disk, None);
            assert!(matches!(result, Err(JournalError::Corrupt { .. })), "byte {at}, bit {bit}: {} records", records.len());
        }
    }
}

#[test]
fn swapped_doubled_and_missing_records_are_noticed() {
    let (disk, bytes) = written(12);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let corrupt = |lines: &[&[u8]], what: &str| {
        put(&disk, &lines.concat());
        assert!(matches!(show(&disk, None).0, Err(JournalError::Corrupt { .. })), "{what}");
    };
    for at in 0..lines.len() {
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        corrupt(&doubled, &format!("line {at} doubled"));
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            corrupt(&swapped, &format!("lines {at} and {other} swapped"));
        }
        if at + 1 < lines.len() {
            let mut shorter = lines.clone();
            shorter.remove(at);
            corrupt(&shorter, &format!("line {at} taken out"));
        }
    }
}

#[test]
fn a_cut_at_every_byte_leaves_the_whole_records_and_the_journal_goes_on() {
    let (disk, bytes) = written(6);
    let header_end = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in 0..=bytes.len() {
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        put(&disk, &bytes[..cut]);
        if cut < header_end {
            assert!(matches!(open(&disk), Err(JournalError::Corrupt { line: 1, .. })), "cut at {cut}");
            continue;
        }
        let (journal, opened, records) = open(&disk).unwrap();
        assert_eq!((records.len(), opened.torn_tail), (whole - 1, !bytes[..cut].ends_with(b"\n")), "cut at {cut}");
        journal.append(Timestamp(99), &event(99)).unwrap();
        let head = journal.close().unwrap();
        assert_eq!(show(&disk, Some(head)).1.len(), whole, "cut at {cut}");
    }
}

#[test]
fn zeros_after_a_crash_are_a_torn_tail() {
    let (disk, bytes) = written(3);
    put(&disk, &[&bytes[..], &[0; 4096]].concat());
    let (_, opened, records) = open(&disk).unwrap();
    assert!(opened.torn_tail && records.len() == 3);
    assert_eq!(disk.read(&path()).unwrap(), bytes);
}

#[test]
fn an_old_copy_or_a_cut_between_records_fails_against_the_anchor() {
    let (disk, bytes) = written(9);
    let head = show(&disk, None).0.unwrap().head;
    assert_eq!(head.to_string().parse(), Ok(head));
    let cut = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    put(&disk, &bytes[..cut]);
    assert!(show(&disk, None).0.is_ok(), "no chain can notice this");
    let error = show(&disk, Some(head)).0.unwrap_err();
    assert!(error.to_string().contains("ends at record 8"), "{error}");
    // Somebody resumes the old copy and writes another ninth record.
    let (journal, ..) = open(&disk).unwrap();
    journal.append(Timestamp(1_000), &event(1)).unwrap();
    let other = journal.close().unwrap();
    assert_eq!(other.n, head.n);
    assert!(show(&disk, Some(head)).0.unwrap_err().to_string().contains("another hash"));
    assert!(show(&disk, Some(other)).0.is_ok());
    for text in ["", "9", "9:abc", ":", "x:y"] {
        assert!(text.parse::<Anchor>().is_err(), "{text}");
    }
}

#[test]
fn a_journal_of_another_version_or_with_gaps_is_refused() {
    let disk = disk();
    let lines = |texts: &[&str]| {
        let mut chain = Chain::new();
        let closed = texts.iter().map(|text| {
            let mut line = text.as_bytes().to_vec();
            chain.close(&mut line);
            line
        });
        closed.collect::<Vec<_>>().concat()
    };
    let header = serde_json::to_string(&header()).unwrap();
    for (texts, reason) in [
        (vec![header.replace("\"version\":1", "\"version\":2")], "version 2"),
        (vec!["{\"cutover\":\"plan\"}".to_owned()], "no journal's header"),
        (vec![header.clone(), "{\"n\":2,\"at\":0,\"event\":{\"note\":\"x\"}}".to_owned()], "says to be record 2"),
        (vec![header.clone(), "{\"n\":1,\"at\":0,\"event\":{\"later\":1}}".to_owned()], "no record of this version"),
    ] {
        put(&disk, &lines(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        let error = show(&disk, None).0.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    put(&disk, &lines(&[&header, "{\"n\":1,\"at\":0,\"event\":{\"note\":\"x\"}}"]));
    let refused = read_only::<Event>(&disk, &path(), None, |_| Err("a change cannot end before it began".to_owned()));
    assert!(refused.unwrap_err().to_string().contains("line 2: a change cannot end"));
}

#[test]
fn the_documented_recipe_checks_a_journal() {
    let (_, bytes) = written(3);
    let mut before = String::new();
    for line in String::from_utf8(bytes).unwrap().lines() {
        let (body, hash) = line.rsplit_once(",\"hash\":").unwrap();
        before = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!("{before}{body}")));
        assert_eq!(hash, format!("\"{before}\"}}"));
    }
}

#[test]
fn waiting_records_share_one_write_and_one_sync() {
    let disk = disk();
    let (journal, _) = create(&disk);
    let before = disk.appends_and_syncs(&path());
    let lsns: Vec<Lsn> = (1..=100).map(|n| journal.append(Timestamp(n), &event(n)).unwrap()).collect();
    block_on(async {
        let waiting: Vec<_> = lsns.iter().map(|lsn| journal.sync(*lsn)).collect();
        for durable in waiting {
            durable.await.unwrap();
        }
    });
    let after = disk.appends_and_syncs(&path());
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    assert_eq!(show(&disk.after_crash(), None).1.len(), 100);
}

#[test]
fn what_was_synced_survives_a_crash_and_nothing_is_written_unasked() {
    let disk = disk();
    let (journal, sealed) = create(&disk);
    sealed.append(Kind::PreImage, ChangeNo(1), b"before").unwrap();
    let lsn = journal.append(Timestamp(1), &event(1)).unwrap();
    block_on(journal.sync(lsn)).unwrap();
    journal.append(Timestamp(2), &event(2)).unwrap();
    let survivor = disk.after_crash();
    let (_, _, records) = open(&survivor).unwrap();
    assert_eq!(records.len(), 1);
    let (_, sealed, _) = companions(&survivor);
    assert_eq!(**sealed.first(Kind::PreImage, ChangeNo(1)).unwrap().unwrap(), *b"before");
}

#[test]
fn a_crash_at_every_operation_keeps_what_was_acknowledged() {
    for operation in 1.. {
        let disk = disk();
        let (journal, sealed) = create(&disk);
        disk.inject(Fault::CrashAtOperation(operation));
        let acknowledged = Mutex::new(0);
        block_on(async {
            for n in 1..=5_u64 {
                if sealed.append(Kind::Memo, ChangeNo(0), &n.to_le_bytes()).is_err() {
                    return;
                }
                let Ok(lsn) = journal.append(Timestamp(n), &event(n)) else { return };
                if journal.sync(lsn).await.is_err() {
                    return;
                }
                *acknowledged.lock().unwrap() = n;
            }
        });
        let acknowledged = *acknowledged.lock().unwrap();
        for torn in [0, 1, 50, usize::MAX] {
            let survivor = disk.after_torn_crash(torn);
            let (_, opened, records) = open(&survivor).unwrap();
            assert!(records.len() as u64 >= acknowledged, "operation {operation}");
            let (_, sealed, _) = companions(&survivor);
            let memos = sealed.all(Kind::Memo, ChangeNo(0)).unwrap().len();
            assert!(memos >= records.len(), "a record is never durable before its sealed entry: {memos} < {}", opened.head.n);
        }
        if !disk.is_crashed() {
            assert_eq!(acknowledged, 5);
            assert!(operation > 15, "every operation had its turn");
            return;
        }
    }
}

#[test]
fn a_crash_inside_a_batch_leaves_a_prefix() {
    for lines in 2..=9 {
        let disk = disk();
        let (journal, _) = create(&disk);
        disk.inject(Fault::CrashAfterLines { file: FILE.to_owned(), lines, torn: lines * 7 });
        for n in 1..=10 {
            journal.append(Timestamp(n), &event(n)).unwrap();
        }
        assert!(journal.close().is_err());
        let (_, opened, records) = open(&disk.after_crash()).unwrap();
        assert!(opened.torn_tail && records.len() == lines - 1);
    }
}

#[test]
fn a_failed_sync_fails_all_that_follows_without_a_second_try() {
    for file in [FILE, "sealed.log"] {
        let disk = disk();
        let (journal, sealed) = create(&disk);
        disk.inject(Fault::SyncFails { file: file.to_owned(), nth: 1 });
        sealed.append(Kind::Memo, ChangeNo(0), b"memo").unwrap();
        let before = disk.appends_and_syncs(&Path::new("/run").join(file)).1;
        let lsn = journal.append(Timestamp(1), &event(1)).unwrap();
        let error = block_on(journal.sync(lsn)).unwrap_err();
        assert_eq!(error.code(), "CUT4002");
        assert!(journal.append(Timestamp(2), &event(2)).is_err());
        assert!(block_on(journal.sync(lsn)).is_err() && block_on(journal.flush()).is_err() && journal.close().is_err());
        assert_eq!(disk.appends_and_syncs(&Path::new("/run").join(file)).1, before + 1);
    }
}

#[test]
fn a_full_disk_takes_the_reserve_and_then_says_what_to_do() {
    let disk = disk();
    let (journal, _) = create(&disk);
    disk.inject(Fault::Capacity(RESERVE_BYTES as u64 + 400));
    for n in 1..=20 {
        let lsn = journal.append(Timestamp(n), &event(n)).unwrap();
        block_on(journal.sync(lsn)).unwrap();
    }
    assert!(!disk.exists(Path::new("/run/reserve")));
    journal.append(Timestamp(21), &Event::Note("x".repeat(2 << 20))).unwrap();
    let error = block_on(journal.flush()).unwrap_err();
    assert!(error.code() == "CUT4001" && error.to_string().contains("`cutover resume 20261122-014502-k3fd`"), "{error}");
    disk.clear_faults();
    drop(journal);
    let (_, opened, records) = open(&disk).unwrap();
    assert!(opened.torn_tail && records.len() == 20);
}

#[test]
fn threads_append_without_gaps() {
    let disk = disk();
    let (journal, _) = create(&disk);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..200 {
                    let lsn = journal.append(Timestamp(n), &event(n)).unwrap();
                    if n % 50 == 0 {
                        block_on(journal.sync(lsn)).unwrap();
                    }
                }
            });
        }
    });
    let head = journal.close().unwrap();
    assert_eq!((head.n, show(&disk, Some(head)).1.len()), (800, 800));
}

#[test]
fn a_tail_reads_each_whole_line_once_while_the_journal_grows() {
    let disk = disk();
    let (journal, _sealed) = create(&disk);
    let mut tail = Tail::<Event>::new(Arc::new(disk.clone()), path());
    let mut seen = Vec::new();
    let mut read_on = |tail: &mut Tail<Event>| {
        let read = tail.read_on(|record| {
            seen.push(record.n);
            Ok(())
        });
        read.map(|()| std::mem::take(&mut seen))
    };
    assert_eq!(read_on(&mut tail).unwrap(), [] as [u64; 0]);
    assert_eq!(tail.header(), Some(&header()));
    journal.append(Timestamp(1), &Event::Note("a".to_owned())).unwrap();
    journal.append(Timestamp(2), &Event::Note("b".to_owned())).unwrap();
    let head = journal.close().unwrap();
    // The last line is half there: it is left for the next time.
    let whole = disk.read(&path()).unwrap();
    disk.write_atomic(&path(), &whole[..whole.len() - 7]).unwrap();
    assert_eq!(read_on(&mut tail).unwrap(), [1]);
    disk.write_atomic(&path(), &whole).unwrap();
    assert_eq!(read_on(&mut tail).unwrap(), [2]);
    assert_eq!(tail.head(), head);
    assert_eq!(read_on(&mut tail).unwrap(), [] as [u64; 0]);
    // Lines that were read may not go, and what comes must fit them.
    disk.write_atomic(&path(), &whole[..whole.len() - 7]).unwrap();
    assert!(matches!(read_on(&mut tail), Err(JournalError::Corrupt { line: 4, .. })));
    disk.write_atomic(&path(), &[&whole[..], &whole[..]].concat()).unwrap();
    assert!(matches!(read_on(&mut tail), Err(JournalError::Corrupt { line: 4, .. })));
}
