//! Whole runs inside the test's process, with real plugins.

mod canary;
mod conflict;
mod damage;
mod drift;
mod files;
mod health;
mod locks;
mod probe;
mod scene;
mod stale;
mod wall;
mod crash;
mod hostile;
