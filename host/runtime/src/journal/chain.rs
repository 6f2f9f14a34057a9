//! The chain of lines: how a line gets its hash, and how a file of them is checked.

use std::{
    io::{BufRead, BufReader, Read, Seek as _, SeekFrom},
    path::Path,
};

use cutover_engine::Digest;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{Anchor, Header, JournalError, LINE_LIMIT, Opened, Record};
use crate::disk::{Disk, DiskError, Sequential};

const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";
const HASH_DIGITS: usize = 64;
const TAIL_BYTES: usize = BEFORE_HASH.len() + HASH_DIGITS + AFTER_HASH.len();

/// Where a chain of lines stands.
#[derive(Clone)]
pub(super) struct Chain {
    lines: u64,
    hash: [u8; 32],
    /// The hash as it stands in the file; empty before the first line.
    digits: [u8; HASH_DIGITS],
}

impl Chain {
    pub(super) const fn new() -> Self {
        Self { lines: 0, hash: [0; 32], digits: [0; HASH_DIGITS] }
    }

    /// The chain whose last line is `head`.
    pub(super) fn resumed(head: Anchor) -> Self {
        let mut chain = Self::new();
        chain.step(*head.hash.as_bytes());
        chain.lines = head.n + 1;
        chain
    }

    /// The number that the next record gets; the header is number 0.
    pub(super) const fn next(&self) -> u64 {
        self.lines
    }

    /// The last line's number and hash.
    pub(super) fn head(&self) -> Anchor {
        Anchor { n: self.lines.saturating_sub(1), hash: Digest::from_bytes(self.hash) }
    }

    /// Completes a line: takes a JSON object and adds its hash and the line end.
    pub(super) fn close(&mut self, line: &mut Vec<u8>) {
        line.pop();
        self.step(self.hash_of(line));
        line.extend_from_slice(BEFORE_HASH);
        line.extend_from_slice(&self.digits);
        line.extend_from_slice(AFTER_HASH);
        line.push(b'\n');
    }

    /// Checks a line without its end and goes on; leaves the JSON object without its hash in `line`.
    fn check(&mut self, line: &mut Vec<u8>) -> Result<(), &'static str> {
        let body = line.len().checked_sub(TAIL_BYTES).ok_or("it is too short for a record")?;
        let tail = &line[body..];
        if !tail.starts_with(BEFORE_HASH) || !tail.ends_with(AFTER_HASH) {
            return Err("it does not end with a hash");
        }
        let hash = self.hash_of(&line[..body]);
        let mut digits = [0; HASH_DIGITS];
        hex::encode_to_slice(hash, &mut digits).expect("32 bytes are 64 digits");
        if tail[BEFORE_HASH.len()..BEFORE_HASH.len() + HASH_DIGITS] != digits {
            return Err("its hash does not fit it and the line before: one of the two was changed, moved, added or taken out");
        }
        (self.hash, self.digits) = (hash, digits);
        self.lines += 1;
        line.truncate(body);
        line.push(b'}');
        Ok(())
    }

    fn hash_of(&self, body: &[u8]) -> [u8; 32] {
        let before = if self.lines == 0 { &[][..] } else { &self.digits[..] };
        Sha256::new().chain_update(before).chain_update(body).finalize().into()
    }

    fn step(&mut self, hash: [u8; 32]) {
        self.hash = hash;
        hex::encode_to_slice(hash, &mut self.digits).expect("32 bytes are 64 digits");
        self.lines += 1;
    }
}

/// Checks a journal and hands out its records. Also says how many bytes its whole lines have.
pub(super) fn read<E: DeserializeOwned>(
    disk: &dyn Disk,
    path: &Path,
    anchor: Option<Anchor>,
    each: impl FnMut(Record<E>) -> Result<(), String>,
) -> Result<(Opened, u64), JournalError> {
    let mut place = Place::new(anchor);
    let torn_tail = place.advance(disk, path, each)?;
    let header = place.header.ok_or_else(|| JournalError::Corrupt {
        path: path.to_owned(),
        line: 1,
        reason: "the first line is missing".to_owned(),
    })?;
    match anchor {
        Some(anchor) if !place.anchored => Err(JournalError::Anchor { path: path.to_owned(), anchor, head: place.chain.head() }),
        _ => Ok((Opened { header, head: place.chain.head(), torn_tail }, place.whole)),
    }
}

/// How far a journal was read.
pub(super) struct Place {
    pub(super) chain: Chain,
    pub(super) header: Option<Header>,
    /// Bytes of the whole lines so far, with their ends.
    whole: u64,
    anchor: Option<Anchor>,
    anchored: bool,
}

impl Place {
    pub(super) fn new(anchor: Option<Anchor>) -> Self {
        Self { chain: Chain::new(), header: None, whole: 0, anchored: anchor.is_none(), anchor }
    }

    /// Checks what follows and hands out its records; says whether the last line was incomplete. After an error the place is
    /// that before the line that is wrong.
    pub(super) fn advance<E: DeserializeOwned>(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        mut each: impl FnMut(Record<E>) -> Result<(), String>,
    ) -> Result<bool, JournalError> {
        let file = disk.open_read(path).map_err(DiskError::io("open", path))?;
        let mut file = Sequential::new(file).map_err(|error| JournalError::read(path, error))?;
        if file.end() < self.whole {
            let reason = "the file ends before it: lines that were read are gone".to_owned();
            return Err(JournalError::Corrupt { path: path.to_owned(), line: self.chain.lines + 1, reason });
        }
        file.seek(SeekFrom::Start(self.whole)).map_err(|error| JournalError::read(path, error))?;
        let mut lines = Lines { file: BufReader::with_capacity(1024 * 1024, file), line: Vec::new(), whole: self.whole };
        loop {
            let corrupt = |reason: String| JournalError::Corrupt { path: path.to_owned(), line: self.chain.lines + 1, reason };
            match lines.next().map_err(|error| JournalError::read(path, error))? {
                End::Line => {}
                End::File => return Ok(false),
                End::Torn => {
                    // A record that is whole but for a wrong line end was written once: somebody changed that byte.
                    lines.line.pop();
                    if self.chain.clone().check(&mut lines.line).is_ok() {
                        return Err(corrupt("its line end was changed".to_owned()));
                    }
                    return Ok(true);
                }
                End::TooLong => return Err(corrupt("it is longer than 4 MiB".to_owned())),
            }
            let number = self.chain.next();
            let mut checked = self.chain.clone();
            checked.check(&mut lines.line).map_err(|reason| corrupt(reason.to_owned()))?;
            if self.header.is_none() {
                self.header = Some(parse_header(&lines.line).map_err(corrupt)?);
            } else {
                let record: Record<E> =
                    serde_json::from_slice(&lines.line).map_err(|error| corrupt(format!("it is no record of this version: {error}")))?;
                if record.n != number {
                    return Err(corrupt(format!("it says to be record {} but is {number}", record.n)));
                }
                each(record).map_err(corrupt)?;
            }
            self.chain = checked;
            self.whole = lines.whole;
            self.anchored |= self.anchor == Some(self.chain.head());
        }
    }
}

fn parse_header(line: &[u8]) -> Result<Header, String> {
    let header: Header = serde_json::from_slice(line).map_err(|error| format!("it is no journal's header: {error}"))?;
    match header.version {
        1 => Ok(header),
        other => Err(format!("it has version {other}; this cutover reads version 1: use the newer one that wrote it")),
    }
}

/// Lines of a file, in one buffer.
struct Lines<R> {
    file: BufReader<R>,
    line: Vec<u8>,
    /// Bytes of the lines so far, with their ends.
    whole: u64,
}

enum End {
    /// The buffer holds a whole line, without its end.
    Line,
    /// The file ends without a line end.
    Torn,
    /// There is nothing more.
    File,
    /// The line goes on after [`LINE_LIMIT`].
    TooLong,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> std::io::Result<End> {
        self.line.clear();
        let count = (&mut self.file).take(LINE_LIMIT as u64 + 1).read_until(b'\n', &mut self.line)?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            self.whole += count as u64;
            return Ok(End::Line);
        }
        Ok(match count {
            0 => End::File,
            count if count > LINE_LIMIT => End::TooLong,
            _ => End::Torn,
        })
    }
}
