//! Whole runs inside the test's process, with real plugins.

mod canary;
mod crash;
mod files;
mod hostile;
