//! An author's first hour: a plugin is begun, built and tested; the kit names what is broken; a refusal says what to add.

mod denied;
mod desk;
mod kit;
mod templates;
mod watching;
