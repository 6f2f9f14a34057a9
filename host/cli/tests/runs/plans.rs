//! What a plan promises: the way back of each step and where it ends; and that nothing else is performed than was looked at.

use crate::site::{Site, seen};

/// A site whose retired files are destroyed in the end.
fn destroying() -> Site {
    let tail = "\n[[step]]\nid = \"destroy\"\nuses = \"files.destroy-files\"\nchanges = \"steps.retire\"\nconnections = { source = \"legacy\" }\nirreversible = true\n";
    let site = Site::new();
    let text = std::fs::read_to_string(site.path("w.toml")).expect("text");
    site.write("w.toml", &(text + tail));
    site
}

#[test]
fn each_step_says_how_it_goes_back_and_the_plan_where_that_ends() {
    let site = destroying();
    let told = String::from_utf8(site.cutover("plan w.toml", 0).stdout).expect("UTF-8");
    let of = |beginning: &str| {
        let mut lines = told.lines().filter(|line| line.trim_start().starts_with(beginning));
        lines.next().unwrap_or_else(|| panic!("no `{beginning}`: {told}"))
    };
    for step in ["+  copy", "-  retire"] {
        assert!(of(step).contains("undo: back to the pre-image"), "{told}");
    }
    assert!(of("!  destroy").contains("IRREVERSIBLE"), "{told}");
    assert_eq!(of("Undo"), "Undo      complete up to destroy, then none for what it depends on");
    let plan = &site.document("plan w.toml", 0)["plan"];
    assert_eq!(plan["undo"], serde_json::json!({"up-to": "destroy"}), "{plan:#}");
    let ways: Vec<&str> = plan["steps"].as_array().into_iter().flatten().filter_map(|step| step["undo"].as_str()).collect();
    assert_eq!(ways, ["pre-image", "pre-image", "irreversible"], "{plan:#}");
    let markdown = String::from_utf8(site.cutover("plan w.toml -o markdown", 0).stdout).expect("UTF-8");
    assert!(markdown.contains("**IRREVERSIBLE**") && markdown.contains("complete up to `destroy`, then **none**"), "{markdown}");
}

/// A plan whose approval is asked for is named by its digest: whoever edits it afterwards makes another one.
#[test]
fn a_plan_that_was_edited_after_somebody_looked_at_it_is_refused_with_both_digests() {
    let site = Site::new();
    site.cutover("plan w.toml --out a.cutplan", 0);
    let digest = site.document("plan show a.cutplan", 0)["plan"]["digest"].as_str().expect("a digest").to_owned();
    let plan = std::fs::read_to_string(site.path("a.cutplan")).expect("a plan");
    for (what, by) in [("\"owner\":\"tests\"", "\"owner\":\"bests\""), ("app/DB_PASSWORD", "app/DB_PASSWORE")] {
        assert!(plan.contains(what), "{what}");
        site.write("b.cutplan", &plan.replacen(what, by, 1));
        let refused = site.document("run b.cutplan", 16);
        let text = refused["error"].to_string();
        assert!(refused["error"]["code"] == "CUT6055" && text.contains(&digest[..12]), "{refused:#}");
        assert!(site.is_as_before());
    }
}

#[test]
fn each_thing_that_moved_since_the_plan_is_named_before_anything_is_written() {
    let site = Site::new();
    site.cutover("plan w.toml --out a.cutplan", 0);
    site.write("legacy/app.env", "API_KEY=another-0123456789\nNEW=n-0123456789abcdef\n");
    let told = seen(&site.cutover("run a.cutplan", 15));
    for moved in ["copy/target:app/API_KEY.json.age: ", "copy/target:app/DB_PASSWORD.json.age: ", "copy/target:app/NEW.json.age: it is new"]
    {
        assert!(told.contains(moved), "no `{moved}`: {told}");
    }
    assert_eq!(std::fs::read_dir(site.path("store")).expect("readable").count(), 0, "{told}");
}
