//! What guests have in their linear memories, looked at from outside whenever one stands still.
//!
//! Wasmtime shows no memory of a component to its host. But this process may read itself, and a linear memory looks like
//! nothing else in an address space: whole WebAssembly pages, with gigabytes around them that nobody may touch.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aho_corasick::AhoCorasick;
use cutover_runtime::sandbox::{Stop, Witness};

/// Page of WebAssembly (core specification, section 4.2.8), in bytes.
const WASM_PAGE: u64 = 65_536;
/// What Wasmtime sets aside for a linear memory with 32-bit addresses, in bytes.
const RESERVED: u64 = 1 << 32;
/// What Wasmtime leaves untouchable before a memory, in bytes.
const GUARD: u64 = 32 * 1024 * 1024;
/// Page of the machine, in bytes. Only empty ones are passed over, so a larger one would do no harm.
const PAGE: usize = 4096;
const EMPTY: [u8; PAGE] = [0; PAGE];

/// Searches all linear memories of the process at every stop of every call.
pub struct GuestMemory {
    finder: AhoCorasick,
    names: Vec<String>,
    seen: Mutex<Seen>,
}

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Stops at calls of imports.
    pub imports: usize,
    /// Ends of calls.
    pub ends: usize,
    /// The most that one call's memories had together, in bytes.
    pub largest: usize,
    /// Stops at which less memory was found than the call has: there must be none.
    pub unseen: usize,
    /// The names of what was found, each with where.
    pub hits: BTreeSet<String>,
}

impl GuestMemory {
    /// Looks for these bytes, each under a name. None may contain a zero.
    ///
    /// # Panics
    /// If there are too many, or one could be missed.
    #[must_use]
    pub fn searched_for(needles: impl IntoIterator<Item = (String, Vec<u8>)>) -> Arc<Self> {
        let (names, bytes): (Vec<_>, Vec<_>) = needles.into_iter().unzip();
        assert!(bytes.iter().all(|needle| !needle.is_empty() && !needle.contains(&0)), "empty pages are not searched");
        let finder = AhoCorasick::new(&bytes).expect("a few hundred needles");
        Arc::new(Self { finder, names, seen: Mutex::default() })
    }

    /// What was seen until now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of what is in these bytes. Pages without anything are passed over: memories are mostly empty.
    #[must_use]
    pub fn search(&self, memory: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let pages: Vec<&[u8]> = memory.chunks(PAGE).collect();
        let mut start = 0;
        for run in pages.split(|page| *page == &EMPTY[..page.len()]) {
            let bytes: usize = run.iter().map(|page| page.len()).sum();
            let hits = self.finder.find_overlapping_iter(&memory[start..start + bytes]);
            found.extend(hits.map(|hit| self.names[hit.pattern().as_usize()].as_str()));
            start += bytes + PAGE;
        }
        found
    }
}

impl Witness for GuestMemory {
    fn stands_still(&self, stop: Stop, memory_bytes: usize) {
        let memories = memories().expect("a process may read itself");
        let total: usize = memories.iter().map(Vec::len).sum();
        let hits: Vec<String> = memories.iter().flat_map(|memory| self.search(memory)).map(|name| format!("{stop:?}: {name}")).collect();
        let mut seen = self.locked();
        match stop {
            Stop::Import => seen.imports += 1,
            Stop::End => seen.ends += 1,
        }
        seen.largest = seen.largest.max(memory_bytes);
        seen.unseen += usize::from(total < memory_bytes);
        seen.hits.extend(hits);
    }
}

/// The content of every linear memory of this process. One that goes away meanwhile belongs to a call that is over.
fn memories() -> io::Result<Vec<Vec<u8>>> {
    let places = places(&fs::read_to_string("/proc/self/maps")?);
    let process = File::open("/proc/self/mem")?;
    let read = |place: Range<u64>| {
        let mut bytes = vec![0; usize::try_from(place.end - place.start).ok()?];
        process.read_exact_at(&mut bytes, place.start).ok()?;
        Some(bytes)
    };
    Ok(places.into_iter().filter_map(read).collect())
}

/// Where linear memories are in a text like that of `/proc/self/maps` (proc(5)).
fn places(maps: &str) -> Vec<Range<u64>> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for next in maps.lines().filter_map(Stretch::parse) {
        match stretches.last_mut() {
            Some(last) if last.place.end == next.place.start && last.access == next.access => last.place.end = next.place.end,
            _ => stretches.push(next),
        }
    }
    stretches.windows(3).filter_map(|three| memory_between(&three[0], &three[1], &three[2])).collect()
}

fn memory_between(before: &Stretch, memory: &Stretch, after: &Stretch) -> Option<Range<u64>> {
    let adjacent = before.place.end == memory.place.start && memory.place.end == after.place.start;
    let kinds = (before.access, memory.access, after.access) == (Access::None, Access::Plain, Access::None);
    let around = before.length() >= GUARD && memory.length() + after.length() >= RESERVED;
    let whole = memory.length().is_multiple_of(WASM_PAGE);
    (adjacent && kinds && around && whole).then(|| memory.place.clone())
}

/// Neighbouring addresses of one kind.
struct Stretch {
    place: Range<u64>,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Nobody may touch it.
    None,
    /// Read and written, with no file behind it.
    Plain,
    /// Anything else.
    Other,
}

impl Stretch {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let access = match (words.next()?, words.nth(3)) {
            ("---p", None) => Access::None,
            ("rw-p", None) => Access::Plain,
            _ => Access::Other,
        };
        let address = |text| u64::from_str_radix(text, 16).ok();
        Some(Self { place: address(start)?..address(end)?, access })
    }

    fn length(&self) -> u64 {
        self.place.end - self.place.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memories_of_guests_are_found() {
        let maps = "\
            7000fe000000-700100000000 ---p 00000000 00:00 0 \n\
            700100000000-700100110000 rw-p 00000000 00:00 0 \n\
            700100110000-700100120000 rw-p 00000000 00:00 0 \n\
            700100120000-700202000000 ---p 00000000 00:00 0 \n\
            700202000000-700202200000 rw-p 00000000 00:00 0 \n\
            700202200000-700206000000 ---p 00000000 00:00 0 \n\
            700206000000-700206010000 r--p 00000000 08:01 77 /lib/libc.so.6\n\
            700206010000-700306010000 ---p 00000000 00:00 0 \n\
            700306010000-700306020000 rw-p 00000000 08:01 77 /lib/libc.so.6\n\
            700306020000-700406020000 ---p 00000000 00:00 0 \n";
        assert_eq!(places(maps), [0x7001_0000_0000..0x7001_0012_0000]);
    }

    #[test]
    fn what_lies_across_pages_is_found_and_empty_pages_move_nothing() {
        let memory = GuestMemory::searched_for([("a".to_owned(), b"canary".to_vec()), ("b".to_owned(), b"nary-two".to_vec())]);
        let mut bytes = vec![0; 6 * PAGE];
        assert!(memory.search(&bytes).is_empty());
        bytes[PAGE - 3..PAGE + 3].copy_from_slice(b"canary");
        assert_eq!(Vec::from_iter(memory.search(&bytes)), ["a"]);
        bytes[6 * PAGE - 10..].copy_from_slice(b"canary-two");
        assert_eq!(Vec::from_iter(memory.search(&bytes)), ["a", "b"], "also where both overlap");
    }
}
