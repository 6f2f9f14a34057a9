//! Whole runs inside the test's process, with real plugins.

mod canary;
mod chain;
mod conflict;
mod crash;
mod damage;
mod drift;
mod expiry;
mod files;
mod health;
mod hostile;
mod locks;
mod outage;
mod polyglot;
mod probe;
mod proof;
mod scene;
mod shapes;
mod stale;
mod wall;
