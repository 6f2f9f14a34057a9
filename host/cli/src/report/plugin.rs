//! How a plugin looks to the person who is about to use it: what it offers, and everything that it can ask for.

use std::fmt::Write as _;

use cutover_engine::{Cardinality, LossWeight, Manifest, Operation, Purpose, RouteClass};
use cutover_runtime::sandbox::Inspection;
use serde::Serialize;

use crate::report::{palette, printable, table::Table};

/// A plugin, ready to be shown; the object that programs get.
#[derive(Debug, Serialize)]
pub struct PluginView<'a> {
    file: String,
    size: u64,
    digest: String,
    world: String,
    imports: &'a [String],
    manifest: &'a Manifest,
}

impl<'a> PluginView<'a> {
    /// A view of `file`.
    #[must_use]
    pub fn new(file: String, inspection: &'a Inspection) -> Self {
        Self {
            file,
            size: inspection.size,
            digest: format!("sha256:{}", inspection.digest),
            world: inspection.world.to_string(),
            imports: &inspection.imports,
            manifest: &inspection.manifest,
        }
    }

    /// What the plugin says of itself.
    pub(super) const fn manifest(&self) -> &Manifest {
        self.manifest
    }

    /// The world that it was made for.
    pub(super) fn world(&self) -> &str {
        &self.world
    }

    /// One line: name, version, size and file.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{} {}  {} KiB  {}", self.manifest.name, self.manifest.version, self.size.div_ceil(1024), self.file)
    }

    /// For people. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let strong = palette::STRONG;
        let mut out = format!("{strong}{}{strong:#}\n", printable::line(&self.headline()));
        let mut facts = Table::new(&[]);
        facts.row(["What", &self.manifest.summary]);
        facts.row(["Digest", &self.digest]);
        facts.row(["World", &self.world]);
        facts.row(["Imports", &if self.imports.is_empty() { "nothing".to_owned() } else { self.imports.join(", ") }]);
        out.push_str(&facts.text());
        for operation in &self.manifest.operations {
            let _ = writeln!(
                out,
                "\n{strong}{}{strong:#}  {}  ({})",
                printable::line(&operation.name),
                printable::line(&operation.summary),
                traits(operation)
            );
            out.push_str(&routes(operation));
            for flow in &operation.flows {
                let _ = writeln!(out, "  secrets may move {} -> {}", printable::line(&flow.from), printable::line(&flow.to));
            }
        }
        if !self.manifest.losses.is_empty() {
            let _ = writeln!(out, "\n{strong}Losses{strong:#}");
            let mut table = Table::new(&[]).indented(2);
            for loss in &self.manifest.losses {
                table.row([loss.code.as_str(), weight_word(loss.weight), &loss.description]);
            }
            out.push_str(&table.text());
        }
        out
    }
}

/// The weight of a loss in a word.
pub(super) const fn weight_word(weight: LossWeight) -> &'static str {
    match weight {
        LossWeight::Inherent => "inherent",
        LossWeight::Material => "material",
    }
}

/// What a route does in a word.
pub(super) const fn class_word(class: RouteClass) -> &'static str {
    match class {
        RouteClass::Read => "read",
        RouteClass::Login => "login",
        RouteClass::Add => "add",
        RouteClass::Write => "write",
    }
}

/// What a person should know of an operation at a glance.
pub(super) fn traits(operation: &Operation) -> String {
    let purpose = match operation.purpose {
        Purpose::Migrate => "changes something",
        Purpose::Retire => "ends an old path",
        Purpose::Observe => "only looks",
    };
    let flags =
        [(operation.irreversible, "IRREVERSIBLE"), (!operation.resumable, "not resumable"), (operation.collapses, "goes back as one")];
    std::iter::once(purpose).chain(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word)).collect::<Vec<_>>().join(", ")
}

fn routes(operation: &Operation) -> String {
    let mut table = Table::new(&[]).indented(2);
    for role in &operation.roles {
        let kinds = format!("{}{}", role.kinds.join(" or "), if role.cardinality == Cardinality::Many { " (set)" } else { "" });
        for (index, route) in role.routes.iter().enumerate() {
            let class = class_word(route.class);
            let (name, kinds) = if index == 0 { (role.name.as_str(), kinds.as_str()) } else { ("", "") };
            table.row([name, kinds, class, &format!("{} {}", route.method, route.path)]);
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use cutover_engine::Digest;
    use cutover_runtime::sandbox::World;

    use super::*;

    #[test]
    fn shows_every_request_that_it_can_send() {
        let manifest = serde_json::from_value(serde_json::json!({
            "name": "cutover:example", "version": "0.1.0", "summary": "Sets \u{1b}[31m one value",
            "operations": [{
                "name": "put", "summary": "Writes it", "purpose": "migrate", "input_schema": {}, "output_schema": {},
                "roles": [{"name": "target", "kinds": ["http", "file"], "cardinality": "one", "routes": [
                    {"method": "GET", "path": "/{+path}", "class": "read", "response": "json"},
                    {"method": "PUT", "path": "/{+path}", "class": "write", "response": "status"}
                ]}],
                "flows": [{"from": "source", "to": "target"}],
                "resumable": true, "collapses": false, "irreversible": true, "self_checking": false
            }],
            "losses": [{"code": "comments", "weight": "inherent", "description": "are not kept"}]
        }));
        let inspection = Inspection {
            size: 2000,
            digest: Digest::from_bytes([7; 32]),
            world: World::Migrator,
            imports: vec!["cutover:plugin/connection@0.1.0".into()],
            manifest: manifest.expect("a manifest"),
        };
        let view = PluginView::new("example.wasm".into(), &inspection);
        let page = view.markdown();
        for part in [
            "# `cutover:example`\n",
            "| `put` | Writes it | changes something, IRREVERSIBLE |\n",
            "Role `target`: a connection of kind `http` or `file`.\n",
            "| write | `PUT /{+path}` |\n",
            "Secrets may move from `source` to `target`.\n",
            "| `comments` | inherent | are not kept |\n",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains('\u{1b}'), "{page}");
        let text = view.text();
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
        cutover:example 0.1.0  2 KiB  example.wasm
        What     Sets \u{1b}[31m one value
        Digest   sha256:0707070707070707070707070707070707070707070707070707070707070707
        World    migrator
        Imports  cutover:plugin/connection@0.1.0

        put  Writes it  (changes something, IRREVERSIBLE)
          target  http or file  read   GET /{+path}
                                write  PUT /{+path}
          secrets may move source -> target

        Losses
          comments  inherent  are not kept
        ");
    }
}
