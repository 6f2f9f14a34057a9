//! The program without plugins and runs: what it says of itself and of files, and how it refuses.

mod basics;
mod desk;
mod doctor;
mod words;
