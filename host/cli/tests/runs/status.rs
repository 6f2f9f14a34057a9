//! Where a run stands, for whoever asks while it goes on.

use rustix::process::Signal;

use crate::{
    interruption::{read_until, signal, waiting},
    site::{GATE, Site},
};

#[test]
fn a_signal_asks_and_the_run_goes_on() {
    let site = Site::with("", "", "", GATE);
    let (child, mut lines) = waiting(&site);
    for _ in 0..2 {
        signal(&child, Signal::USR1);
        read_until(&mut lines, "status of run ");
        let told = read_until(&mut lines, " wait  retire");
        assert!(told.starts_with(" ok    copy") && told.contains("2 verified") && told.contains("\n RUN   soak"), "{told}");
    }
    assert_eq!(site.document("runs show last", 13)["ending"], "running");
    signal(&child, Signal::INT);
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
}
