use super::*;
use crate::{
    disk::{Fault, MemoryDisk},
    entropy::SystemEntropy,
};

const PATH: &str = "/run/sealed.log";
const SECRET: &[u8] = b"correct horse battery staple";

fn run() -> RunId {
    RunId::new("20261122-014502-k3fd").unwrap()
}

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/run")).unwrap();
    disk
}

fn open_as(disk: &MemoryDisk, run: &RunId, key: u8) -> Result<(SealedLog, bool), SealedLogError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let reserve = Arc::new(Reserve::hold(Arc::clone(&disk), PathBuf::from("/run/reserve")));
    SealedLog::open(disk, Path::new(PATH), run, Key::from_bytes([key; 32]), Arc::new(SystemEntropy), reserve)
}

fn open(disk: &MemoryDisk) -> (SealedLog, bool) {
    open_as(disk, &run(), 7).unwrap()
}

/// A synced log of two entries of equal length and the offsets where entries begin and the file ends.
fn two_entries(disk: &MemoryDisk) -> (Vec<u8>, [usize; 3]) {
    let (log, _) = open(disk);
    let first = log.append(Kind::PreImage, ChangeNo(1), SECRET).unwrap();
    let second = log.append(Kind::PreImage, ChangeNo(2), &SECRET.to_ascii_uppercase()).unwrap();
    log.sync().unwrap();
    let bytes = disk.read(Path::new(PATH)).unwrap();
    let end = bytes.len();
    (bytes, [first.0, second.0, end as u64].map(|offset| usize::try_from(offset).unwrap()))
}

#[test]
fn gives_back_what_was_appended_also_after_reopening() {
    let disk = disk();
    let (log, _) = open(&disk);
    for memo in [b"one", b"two"] {
        log.append(Kind::Memo, ChangeNo(3), memo).unwrap();
    }
    let position = log.append(Kind::After, ChangeNo(3), SECRET).unwrap();
    log.sync().unwrap();
    drop(log);
    let (log, torn) = open(&disk);
    assert!(!torn);
    assert_eq!(**log.first(Kind::Memo, ChangeNo(3)).unwrap().unwrap(), *b"one");
    assert_eq!(**log.latest(Kind::Memo, ChangeNo(3)).unwrap().unwrap(), *b"two");
    assert_eq!(log.all(Kind::Memo, ChangeNo(3)).unwrap().len(), 2);
    assert_eq!(**log.at(Kind::After, ChangeNo(3), position).unwrap(), *SECRET);
    assert_eq!(log.changes(Kind::Memo), [ChangeNo(3)]);
    assert!(log.latest(Kind::Memo, ChangeNo(4)).unwrap().is_none());
    assert!(matches!(log.at(Kind::After, ChangeNo(3), Position(1 << 20)), Err(SealedLogError::Missing { .. })));
}

#[test]
fn the_first_pre_image_stays() {
    let disk = disk();
    let (log, _) = open(&disk);
    log.append(Kind::PreImage, ChangeNo(0), b"before").unwrap();
    assert!(matches!(log.append(Kind::PreImage, ChangeNo(0), b"later"), Err(SealedLogError::PreImageStays { .. })));
    log.sync().unwrap();
    drop(log);
    let (log, _) = open(&disk);
    assert!(log.append(Kind::PreImage, ChangeNo(0), b"later").is_err());
    assert_eq!(**log.first(Kind::PreImage, ChangeNo(0)).unwrap().unwrap(), *b"before");
}

#[test]
fn no_plaintext_reaches_the_disk() {
    let disk = disk();
    let (bytes, _) = two_entries(&disk);
    assert!(!bytes.windows(8).any(|window| window == &SECRET[..8]));
}

#[test]
fn every_flipped_byte_is_noticed_and_named() {
    let disk = disk();
    let (bytes, [first, second, _]) = two_entries(&disk);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        disk.write_atomic(Path::new(PATH), &damaged).unwrap();
        let in_header = at < first + HEADER_BYTES || (second..second + HEADER_BYTES).contains(&at);
        let change = ChangeNo(if at < second { 1 } else { 2 });
        match open_as(&disk, &run(), 7) {
            Err(error) => assert!(in_header && error.code() == "CUT4030", "byte {at}: {error}"),
            Ok((log, _)) => {
                assert!(!in_header, "byte {at}");
                let error = log.latest(Kind::PreImage, change).unwrap_err();
                assert!(error.to_string().starts_with(&format!("the pre-image of change {} ", change.0)), "byte {at}: {error}");
                assert!(log.latest(Kind::PreImage, ChangeNo(3 - change.0)).unwrap().is_some(), "the other one still opens");
            }
        }
    }
}

#[test]
fn ciphertexts_cannot_be_moved() {
    let disk = disk();
    let (bytes, [first, second, end]) = two_entries(&disk);
    // The bodies swap places below intact headers.
    let body = HEADER_BYTES;
    let parts = [&bytes[..first + body], &bytes[second + body..end], &bytes[second..second + body], &bytes[first + body..second]];
    disk.write_atomic(Path::new(PATH), &parts.concat()).unwrap();
    let (log, _) = open(&disk);
    for change in [1, 2] {
        assert!(matches!(log.latest(Kind::PreImage, ChangeNo(change)), Err(SealedLogError::Payload { .. })));
    }
    // Whole entries change places, or one is taken out or doubled.
    for parts in [
        vec![&bytes[..first], &bytes[second..], &bytes[first..second]],
        vec![&bytes[..first], &bytes[second..]],
        vec![&bytes[..second], &bytes[first..second]],
    ] {
        disk.write_atomic(Path::new(PATH), &parts.concat()).unwrap();
        assert!(matches!(open_as(&disk, &run(), 7), Err(SealedLogError::Corrupt { .. })));
    }
    // An attacker who also makes a fitting header for the new place still lacks the key.
    let forged = [&bytes[..], &header(Kind::After, ChangeNo(1), end as u64, second - first - body), &bytes[first + body..second]].concat();
    disk.write_atomic(Path::new(PATH), &forged).unwrap();
    assert!(matches!(open(&disk).0.latest(Kind::After, ChangeNo(1)), Err(SealedLogError::Payload { .. })));
}

#[test]
fn another_run_or_key_opens_nothing() {
    let disk = disk();
    two_entries(&disk);
    let other = RunId::new("20261122-014502-aaaa").unwrap();
    assert!(open_as(&disk, &other, 7).unwrap().0.latest(Kind::PreImage, ChangeNo(1)).is_err());
    assert!(open_as(&disk, &run(), 8).unwrap().0.latest(Kind::PreImage, ChangeNo(1)).is_err());
}

#[test]
fn a_cut_at_any_byte_leaves_the_whole_entries() {
    let disk = disk();
    let (bytes, [first, second, end]) = two_entries(&disk);
    for cut in first..end {
        for zeros in [0, 40] {
            disk.write_atomic(Path::new(PATH), &[&bytes[..cut], &vec![0; zeros][..]].concat()).unwrap();
            // Zeros behind half an entry complete it with a wrong end: that shows when it is read.
            let Ok((log, torn)) = open_as(&disk, &run(), 7) else { continue };
            if zeros == 0 {
                assert_eq!(torn, ![first, second].contains(&cut), "cut at {cut}");
            }
            assert_eq!(log.latest(Kind::PreImage, ChangeNo(1)).is_ok_and(|found| found.is_some()), cut >= second, "cut at {cut}");
            let position = log.append(Kind::After, ChangeNo(1), b"next").unwrap();
            assert_eq!(**log.at(Kind::After, ChangeNo(1), position).unwrap(), *b"next");
        }
    }
}

#[test]
fn a_full_disk_uses_the_reserve_once_and_then_stays_failed() {
    let disk = disk();
    let (log, _) = open(&disk);
    let used = disk.read(Path::new(PATH)).unwrap().len() + crate::disk::RESERVE_BYTES;
    disk.inject(Fault::Capacity(used as u64 + 100));
    log.append(Kind::Raw, ChangeNo(0), &[1; 200]).unwrap();
    log.sync().unwrap();
    assert!(log.reserve.is_used() && !disk.exists(Path::new("/run/reserve")));
    assert_eq!(**log.latest(Kind::Raw, ChangeNo(0)).unwrap().unwrap(), [1; 200]);
    let error = log.append(Kind::Raw, ChangeNo(0), &vec![1; 2 << 20]).unwrap_err();
    assert_eq!(error.code(), "CUT4001");
    assert!(error.to_string().contains("cutover resume 20261122-014502-k3fd"), "{error}");
    disk.clear_faults();
    assert!(log.append(Kind::Raw, ChangeNo(0), b"small").is_err() && log.sync().is_err());
}

#[test]
fn entries_are_read_before_and_after_they_are_written() {
    let disk = disk();
    let (log, _) = open(&disk);
    let length = || disk.read(Path::new(PATH)).unwrap().len();
    let empty = length();
    let read = |change| log.latest(Kind::After, ChangeNo(change)).unwrap().map(|payload| payload.to_vec());
    log.append(Kind::After, ChangeNo(1), b"one").unwrap();
    log.append(Kind::After, ChangeNo(2), b"two").unwrap();
    assert_eq!((length(), read(1), read(2)), (empty, Some(b"one".to_vec()), Some(b"two".to_vec())));
    log.sync().unwrap();
    let written = length();
    log.append(Kind::After, ChangeNo(1), b"three").unwrap();
    assert!(written > empty && length() == written);
    assert_eq!((read(1), read(2)), (Some(b"three".to_vec()), Some(b"two".to_vec())));
    // Much is written unasked.
    log.append(Kind::Raw, ChangeNo(3), &vec![7; GATHER_BYTES]).unwrap();
    assert!(length() > written + GATHER_BYTES);
    assert_eq!(read(1), Some(b"three".to_vec()));
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let disk = disk();
    let (log, _) = open(&disk);
    disk.inject(Fault::SyncFails { file: "sealed.log".to_owned(), nth: 1 });
    log.append(Kind::Raw, ChangeNo(0), b"x").unwrap();
    assert!(log.sync().is_err() && log.sync().is_err());
    assert_eq!(disk.appends_and_syncs(Path::new(PATH)).1, 1);
    assert!(log.append(Kind::Raw, ChangeNo(0), b"y").is_err());
}
