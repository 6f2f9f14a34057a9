//! Secrets of every kind between two real servers, by the real program with the shipped plugins, workflow and policies.

mod evidence;
mod killed;
mod many;
mod site;
mod states;
