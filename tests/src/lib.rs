//! What the tests share: a host on a folder of its own, and the guests that `cargo xtask plugins` built.

pub mod canary;
mod components;
mod fake_ca;
mod guest_memory;
mod kv_compare;
mod kv_workload;
mod memory_kind;
mod openbao;
mod plain_http;
mod rig;
mod test_clock;
mod warm;

pub use components::{component, foreign_component, guests_workspace, tools};
pub use fake_ca::FakeCa;
pub use guest_memory::{GuestMemory, Seen};
pub use kv_compare::{KvDump, KvKey, KvVersion, differences, dump};
pub use kv_workload::KvWorkload;
pub use memory_kind::{Exchange, MemoryKind, MemoryServer, Mishap};
pub use openbao::{Answered, OpenBao};
pub use plain_http::{PlainHttp, over_connections};
pub use rig::{Rig, Trace};
pub use test_clock::TestClock;
pub use warm::{sandbox_within, warm_sandbox, watched_sandbox};
