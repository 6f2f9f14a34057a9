//! Whole runs inside the test's process, with real plugins.

mod files;
