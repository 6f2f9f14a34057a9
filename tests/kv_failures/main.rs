//! The shipped workflows between real servers, and what goes wrong on the way: the program, the plugin, the policies.

mod choices;
mod cluster;
mod doctor;
mod foreign;
mod killed;
mod limits;
mod mishap;
mod old_server;
mod outage;
mod picture;
mod probe;
mod proxy;
mod site;
mod source;
mod timer;
mod token;
mod workflows;
