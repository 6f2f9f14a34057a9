//! The book and the README are played: each command that they show runs here, in order, and its output is compared.

mod block;
mod codes;
mod listed;
mod pages;
mod player;
mod reference;
