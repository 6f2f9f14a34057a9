//! What a plugin offers and asks for, as plain data. The stored form of `wit/plugin.wit`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{digest::Digest, pointer::Pointer};

/// A plugin's whole offer, embedded in its component by `cutover plugin pack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `namespace:name`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// What steps can use.
    pub operations: Vec<Operation>,
    /// The closed list of losses.
    #[serde(default)]
    pub losses: Vec<LossCode>,
}

impl Manifest {
    /// The operation of that name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}

/// One operation that a step can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The name after the dot in `uses`.
    pub name: String,
    /// One line.
    pub summary: String,
    /// What it is for.
    pub purpose: Purpose,
    /// JSON Schema 2020-12 of `with`.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the output, or of `result` for a probe.
    pub output_schema: Value,
    /// The connections it needs.
    pub roles: Vec<Role>,
    /// Where sealed values may move.
    #[serde(default)]
    pub flows: Vec<Flow>,
    /// Places of the state whose value the server chooses.
    #[serde(default)]
    pub server_chosen: Vec<Pointer>,
    /// False if a change that ended without an answer must not be applied again.
    pub resumable: bool,
    /// True if a chain on one subject goes back as one.
    pub collapses: bool,
    /// True if nothing of it can be undone.
    pub irreversible: bool,
    /// True if its own checks can carry a change for which there is nothing to compare.
    pub self_checking: bool,
}

impl Operation {
    /// The role of that name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Whether a value read from `from` may be written to `to`. Back to where it was read it always may.
    #[must_use]
    pub fn allows_flow(&self, from: &str, to: &str) -> bool {
        from == to || self.flows.iter().any(|flow| flow.from == from && flow.to == to)
    }
}

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Makes or changes something.
    Migrate,
    /// Ends an old path.
    Retire,
    /// Only looks.
    Observe,
}

/// A part that a connection plays in an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The name that a workflow's `connections` table uses.
    pub name: String,
    /// The connection kinds that can play it.
    pub kinds: Vec<String>,
    /// One connection or a set.
    pub cardinality: Cardinality,
    /// All requests it may get.
    pub routes: Vec<Route>,
}

/// How many connections a role takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cardinality {
    /// Exactly one.
    One,
    /// A set with members.
    Many,
}

/// One form of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// In capitals.
    pub method: String,
    /// A template: `{name}` is one segment, `{+name}` any number.
    pub path: String,
    /// What the request does.
    pub class: RouteClass,
    /// The object it is about, made of the template's variables; none means the whole path.
    #[serde(default)]
    pub object: Option<String>,
    /// What comes back.
    pub response: ResponseRule,
    /// Places of a response that are no secrets.
    #[serde(default)]
    pub public_response: Vec<Pointer>,
    /// Places of a request body that may hold plain values.
    #[serde(default)]
    pub public_request: Vec<Pointer>,
}

/// What a request does, from harmless to not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteClass {
    /// Changes nothing.
    Read,
    /// Trades a credential for a short-lived one.
    Login,
    /// Makes something new that replaces nothing.
    Add,
    /// Changes an object of the change's subject.
    Write,
}

/// What the plugin gets to see of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseRule {
    /// Status and public headers only.
    Status,
    /// The document, sealed except at public places.
    Json,
    /// The whole body as one sealed value.
    Opaque,
}

/// A direction in which sealed values may move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The role a value was read from.
    pub from: String,
    /// The role it may be written to.
    pub to: String,
}

/// One code of the closed list of losses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossCode {
    /// Short, lower case, with hyphens.
    pub code: String,
    /// Listed, or accepted by name.
    pub weight: LossWeight,
    /// What it means.
    pub description: String,
    /// Places of the state that a rollback may leave different where this loss was listed.
    #[serde(default)]
    pub residue: Vec<Pointer>,
}

/// Whether a loss needs the operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossWeight {
    /// In the nature of the move: listed.
    Inherent,
    /// Must be accepted by name.
    Material,
}

/// The plugins that a workflow names, found and read but not run: alias → offer.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By the alias of the workflow's `[plugins]` table.
    pub plugins: BTreeMap<String, Offer>,
}

/// One plugin of the catalog.
#[derive(Debug, Clone)]
pub struct Offer {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
}
