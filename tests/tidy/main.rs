//! Rules of the project that no compiler keeps: who may use whom, what lies where, and documents that say what is so.

mod checkout;
mod documents;
mod edges;
mod sources;
mod workflows;
