//! What one plugin and one call may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// The needs of guests in other languages, given here, are measured by `tests/in_process/polyglot.rs`.

/// Largest component file, in bytes. A Python plugin with its interpreter has 18.5 MB, a `QuickJS` one 1.7 MB.
pub const COMPONENT_BYTES: usize = 32 * MIB;
/// Core instances of one call. A Python plugin has 38, a `QuickJS` one 13.
pub const INSTANCES: usize = 64;
/// Linear memories of one call. `QuickJS` has 3, Python 1.
pub const MEMORIES: usize = 8;
/// All linear memories of one call together, in bytes. A small call of Python has 13.0 MB, one of `QuickJS` 1.5 MB.
pub const MEMORY_BYTES: usize = 64 * MIB;
/// Tables of one call. `QuickJS` has 3, Python 2.
pub const TABLES: usize = 16;
/// All tables of one call together, in elements of 8 bytes: 256 KiB. An interpreter puts each of its functions there:
/// Python has 5,805, `QuickJS` 785.
pub const TABLE_ELEMENTS: usize = 32_768;
/// Component-model handles of one call. The contract has no resources yet, so even one would be strange.
pub const HANDLES: usize = 1_000;
/// Largest single transfer from a plugin to the host, in bytes as the host holds it: one request body or one page of a plan.
pub const TRANSFER_BYTES: usize = 4 * MIB;
/// Log text of one call, in bytes.
pub const LOG_BYTES: usize = 16 * KIB;
/// How long `describe` may take; an interpreter starts in milliseconds.
pub const DESCRIBE_TIME: Duration = Duration::from_secs(10);

/// What one plugin and one call may use. The defaults are the constants of this module.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest component file, in bytes.
    pub component_bytes: usize,
    /// Core instances of one call.
    pub instances: usize,
    /// Linear memories of one call.
    pub memories: usize,
    /// All linear memories of one call together, in bytes.
    pub memory_bytes: usize,
    /// Tables of one call.
    pub tables: usize,
    /// All tables of one call together, in elements.
    pub table_elements: usize,
    /// Component-model handles of one call.
    pub handles: usize,
    /// Largest single transfer from a plugin to the host, in bytes.
    pub transfer_bytes: usize,
    /// Log text of one call, in bytes.
    pub log_bytes: usize,
    /// How long `describe` may take.
    pub describe_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: COMPONENT_BYTES,
            instances: INSTANCES,
            memories: MEMORIES,
            memory_bytes: MEMORY_BYTES,
            tables: TABLES,
            table_elements: TABLE_ELEMENTS,
            handles: HANDLES,
            transfer_bytes: TRANSFER_BYTES,
            log_bytes: LOG_BYTES,
            describe_time: DESCRIBE_TIME,
        }
    }
}

/// Which limit a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("the plugin's memories would have more than {0} bytes together")]
    Memory(usize),
    #[error("the plugin's tables would have more than {0} elements together")]
    Tables(usize),
    #[error("the plugin ran longer than it may")]
    Time,
}

/// Counts the memories and tables of one store together; Wasmtime's own limiter looks at each alone.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: Account,
    tables: Account,
    instances: usize,
    memory_count: usize,
    table_count: usize,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: Account::new(limits.memory_bytes),
            tables: Account::new(limits.table_elements),
            instances: limits.instances,
            memory_count: limits.memories,
            table_count: limits.tables,
        }
    }

    /// The size of all linear memories together.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.used
    }
}

/// A sum with a limit, whose last addition can be taken back.
#[derive(Debug)]
struct Account {
    limit: usize,
    used: usize,
    last: usize,
}

impl Account {
    fn new(limit: usize) -> Self {
        Self { limit, used: 0, last: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let used = self.used.saturating_add(more);
        let fits = used <= self.limit;
        if fits {
            self.used = used;
            self.last = more;
        }
        fits
    }

    fn take_back(&mut self) {
        self.used -= std::mem::take(&mut self.last);
    }
}

impl ResourceLimiter for Limiter {
    // A refusal is an error rather than `false`: most guests abort anyway when they get no memory, and then nobody
    // could tell a limit from a defect.
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if self.memory.grow(current, desired) { Ok(true) } else { Err(wasmtime::Error::new(Exceeded::Memory(self.memory.limit))) }
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if self.tables.grow(current, desired) { Ok(true) } else { Err(wasmtime::Error::new(Exceeded::Tables(self.tables.limit))) }
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.table_count
    }

    fn memories(&self) -> usize {
        self.memory_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_memories_and_tables_share_one_limit() {
        let mut limiter = Limiter::new(&Limits { memory_bytes: 100, table_elements: 10, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).expect("fits"));
        assert!(limiter.memory_growing(0, 40, None).expect("fits exactly"));
        let error = limiter.memory_growing(60, 61, None).expect_err("the sum is over the limit");
        assert_eq!(error.downcast_ref(), Some(&Exceeded::Memory(100)));
        assert!(limiter.table_growing(0, 6, None).expect("fits"));
        let error = limiter.table_growing(0, 6, None).expect_err("the sum is over the limit");
        assert_eq!(error.downcast_ref(), Some(&Exceeded::Tables(10)));
    }

    #[test]
    fn growth_that_failed_later_is_not_counted() {
        let mut limiter = Limiter::new(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 100, Some(50)).expect("within the limit"));
        limiter.memory_grow_failed(wasmtime::Error::msg("over its own maximum")).expect("noted");
        assert!(limiter.memory_growing(0, 100, None).expect("free again"));
        assert!(limiter.memory_growing(0, usize::MAX, None).is_err(), "sums do not wrap");
    }
}
