//! The program is killed after each version that it writes, before it learns that the server took it.

use std::{
    process::Child,
    sync::{Arc, Mutex},
};

use cutover_tests::OpenBao;
use serde_json::json;

use crate::{mishap::is_version, picture, proxy, site::Site, workflows::write};

/// The key's versions, one of them without data.
const VERSIONS: u64 = 6;

#[test]
fn killed_between_each_write_and_its_answer_it_writes_every_version_once() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    for number in 1..=VERSIONS {
        write(&source, "app/db", json!({"password": format!("made-up-{number}")}));
    }
    source.must("PUT", "/v1/secret/destroy/app/db", json!({"versions": [3]}));
    let wanted = picture::keys(&source, "secret");

    let (running, written) = (Arc::new(Mutex::new(None::<Child>)), Arc::new(Mutex::new(0)));
    let (victim, count) = (Arc::clone(&running), Arc::clone(&written));
    let url = proxy::after(
        &target,
        Arc::new(move |method, path| {
            let is_write = is_version(method, path);
            if is_write {
                *count.lock().expect("no panic") += 1;
                let mut victim = victim.lock().expect("no panic");
                victim.as_mut().expect("it is running").kill().expect("SIGKILL");
            }
            !is_write
        }),
    );
    let site = Site::between(&source, &target, &url);
    for killed in 1..=VERSIONS {
        let line = if killed == 1 { "run openbao-to-openbao.toml --yes" } else { "resume last" };
        // The lock is held until the process can be killed.
        let mut slot = running.lock().expect("no panic");
        *slot = Some(site.start(line));
        drop(slot);
        let ended = loop {
            if let Some(status) = running.lock().expect("no panic").as_mut().expect("started").try_wait().expect("a child") {
                break status;
            }
            std::thread::yield_now();
        };
        assert_eq!((ended.code(), *written.lock().expect("no panic")), (None, killed), "{line}");
    }
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!((picture::keys(&target, "secret"), *written.lock().expect("no panic")), (wanted, VERSIONS));
}
