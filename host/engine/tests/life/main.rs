//! The whole life of a run, driven without a runtime.

mod backward;
mod draft;
mod foreign;
mod forward;
mod lines;
mod outage;
mod random;
mod world;
