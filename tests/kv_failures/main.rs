//! The shipped workflows between real servers, and what goes wrong on the way: the program, the plugin, the policies.

mod doctor;
mod foreign;
mod killed;
mod limits;
mod mishap;
mod outage;
mod picture;
mod probe;
mod proxy;
mod site;
mod token;
mod workflows;
