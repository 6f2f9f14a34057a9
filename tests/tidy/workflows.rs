//! The workflows that users start from.

use std::collections::BTreeMap;

use cutover_engine::{Diagnostic, PluginOrigin, Workflow};
use cutover_tests::component;

use crate::checkout::{files, text};

#[tokio::test(flavor = "multi_thread")]
async fn every_workflow_fits_the_language_and_its_plugins() {
    let names: Vec<String> = files(&["workflows"]).into_iter().filter(|name| name.ends_with("toml")).collect();
    assert!(!names.is_empty());
    for name in names {
        let (workflow, mut problems) = Workflow::parse(&text(&name));
        let workflow = workflow.unwrap_or_else(|| panic!("{name}: {problems:#?}"));
        let mut components = BTreeMap::new();
        for (alias, entry) in &workflow.plugins {
            let PluginOrigin::Package { name: package, .. } = &entry.origin else { panic!("{name}: `{alias}` is found by its path") };
            let (_, guest) = package.split_once(':').expect("a package has a namespace");
            components.insert(alias.clone(), component(guest).await);
        }
        problems.extend(workflow.check(&cutover_runtime::runs::catalog(&components).expect("the plugins are ours")));
        assert!(!problems.iter().any(Diagnostic::is_error), "{name}: {problems:#?}");
    }
}
