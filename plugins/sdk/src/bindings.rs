//! Generated from `wit/` by `cargo xtask bindings`. Authors never see it: [`crate::export_migrator!`] and
//! [`crate::export_prober!`] are its only users outside this crate.

#![allow(clippy::allow_attributes, reason = "the next lines are some")]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    missing_docs,
    unsafe_code,
    unused_qualifications,
    unreachable_pub,
    reason = "generated code"
)]

#[rustfmt::skip]
pub mod migrator;
#[rustfmt::skip]
pub mod prober;
