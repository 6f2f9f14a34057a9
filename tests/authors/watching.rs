//! `plugin dev`: a round for each change, and Ctrl-C ends it.

use std::{
    io::{BufRead as _, BufReader},
    process::Command,
};

use cutover_tests::tools;
use serde_json::Value;

use crate::desk::Desk;

#[test]
fn an_edit_begins_a_round_and_ctrl_c_ends_the_watch() {
    let desk = Desk::new().finding(&tools("js").join("node_modules/.bin"));
    desk.done("plugin new looker --lang js --world prober");
    let mut watch = desk.start("plugin dev looker -o jsonl");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut round = || {
        let line = lines.next().expect("a round").expect("text");
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let first = round();
    assert_eq!((&first["round"], &first["conforms"]), (&1.into(), &true.into()), "{first}");

    let code = std::fs::read_to_string(desk.path("looker/app.js")).expect("the template");
    desk.write("looker/app.js", &code.replace("status: response.status", "status: \"fine\""));
    let second = round();
    assert_eq!((&second["round"], &second["conforms"]), (&2.into(), &false.into()), "{second}");
    assert!(second["found"].as_str().is_some_and(|found| found.contains("output fits the declared schema")), "{second}");

    let pid = watch.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill(1)").success());
    assert_eq!(watch.wait().expect("an end").code(), Some(130));
}
