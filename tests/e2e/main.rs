//! The real program, as a machine that loses its power meets it.

mod canary;
mod kill;
mod site;
