//! What touches the world: the sandbox, connections, sealing, the journal and time.

pub mod bodies;
pub mod change_memory;
pub mod clock;
pub mod codec;
pub mod conformance;
pub mod connection;
pub mod disk;
pub mod doctor;
pub mod drive;
pub mod entropy;
pub mod equipment;
pub mod hook;
pub mod journal;
pub mod key;
pub mod lock;
mod pages;
pub mod planner;
pub mod policy;
pub mod runs;
pub mod sandbox;
pub mod sealed_log;
pub mod sealing;
pub mod secret;
pub mod session;
pub mod state;
pub mod upkeep;
