//! The `vault` kind against a real `OpenBao`, compared by a client that shares no code with it.

mod keys;
mod limits;
mod login;
mod place;
mod trust;
