//! Whole runs inside the test's process, with real plugins.

mod crash;
mod files;
mod hostile;
