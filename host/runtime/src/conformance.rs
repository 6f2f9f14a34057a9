//! The conformance kit: plays a plugin against places of the host's own and tells which rules of the contract it keeps.
//!
//! What surrounds the plugin is the product's own: sandbox, policy, sealing and limits. Only the places are the kit's: for
//! roles that take kind `http` a server in memory, for `file` a folder that is gone afterwards. A [`Fixture`], written by
//! the plugin's author, says which operations are played with which input, and what is at the places before. For each of
//! its cases a [`Bench`](bench::Bench) is set up; [`migration`] or [`observation`] goes through the rules on it, and what
//! they find is a [`CaseReport`] for each case.

mod backdrop;
mod bench;
mod canary;
mod finding;
mod fixture;
mod life;
mod listening;
mod memory_server;
mod migration;
mod observation;
mod rule;
mod stage;
mod trouble;

use cutover_engine::{Manifest, Purpose};
use serde::Serialize;

use self::{
    bench::{Bench, Left},
    finding::Findings,
};
pub use self::{
    finding::{Finding, Found},
    fixture::{Case, Fixture, FixtureError},
    rule::Rule,
};
use crate::{
    clock::BoxFuture,
    sandbox::{LoadError, Plugin, Sandbox},
};

/// What the kit found out about a plugin.
#[derive(Debug, Serialize)]
pub struct ConformanceReport {
    /// The plugin's name, as its manifest has it.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Each case of the fixture, in its order.
    pub cases: Vec<CaseReport>,
}

/// What was found in one case.
#[derive(Debug, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// How many changes it planned.
    pub changes: usize,
    /// One for each rule of such an operation, in the order of [`Rule::ALL`].
    pub findings: Vec<Finding>,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// The component is no plugin that the host loads.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The fixture does not fit the plugin, or cannot be set up.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
}

impl ConformanceReport {
    /// Whether no rule is broken.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.cases.iter().all(|case| case.findings.iter().all(|finding| finding.found != Found::Broken))
    }
}

/// Plays every case of the fixture with a packed component.
///
/// # Errors
/// See [`ConformanceError`]. A plugin that breaks rules is no error: the report says so.
pub async fn examine(sandbox: &Sandbox, component: &[u8], fixture: &Fixture) -> Result<ConformanceReport, ConformanceError> {
    let plugin = sandbox.load(component).await?;
    let manifest: &Manifest = plugin.manifest();
    let mut cases = Vec::new();
    for case in &fixture.cases {
        let left = match &case.changes {
            Some(first) => Some(left(&plugin, fixture, first, &case.name).await?),
            None => None,
        };
        let bench = Bench::set_up(&plugin, case, left).await?;
        let mut findings = Findings::default();
        let changes = match bench.operation.purpose {
            Purpose::Observe => {
                observation::examine(&bench, &mut findings).await;
                0
            }
            Purpose::Migrate | Purpose::Retire => migration::examine(&bench, &mut findings).await,
        };
        let findings = findings.close(&bench);
        cases.push(CaseReport { name: case.name.clone(), operation: case.operation.clone(), changes, findings });
    }
    Ok(ConformanceReport { plugin: manifest.name.clone(), version: manifest.version.clone(), cases })
}

/// What case `name` leaves, for the case `about`. Cases are about earlier ones, so this comes to an end.
fn left<'f>(plugin: &'f Plugin, fixture: &'f Fixture, name: &'f str, about: &'f str) -> BoxFuture<'f, Result<Left, FixtureError>> {
    Box::pin(async move {
        let wrong = |text: String| FixtureError(format!("case `{about}`: {text}"));
        let case = fixture.cases.iter().find(|case| case.name == name).ok_or_else(|| wrong(format!("there is no case `{name}`")))?;
        let before = match &case.changes {
            Some(first) => Some(left(plugin, fixture, first, name).await?),
            None => None,
        };
        let bench = Bench::set_up(plugin, case, before).await?;
        bench.leave().await.map_err(|failure| wrong(format!("the changes of case `{name}` cannot be made: {failure}")))
    })
}
