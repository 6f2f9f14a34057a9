//! What touches the world: the sandbox, connections, sealing, the journal and time.

pub mod clock;
pub mod codec;
pub mod connection;
pub mod disk;
pub mod entropy;
pub mod hook;
pub mod journal;
pub mod key;
pub mod lock;
pub mod policy;
pub mod sandbox;
pub mod sealed_log;
pub mod sealing;
pub mod secret;
pub mod state;
