//! From a workflow, or a saved plan, to a plan with everything that can run it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use cutover_engine::{Catalog, Digest, Offer, Plan, PlannedAgain, Workflow};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Host, HostError};
use crate::{
    connection::{Credentials, Opening, WireLimits, declared},
    disk::DiskError,
    equipment::Equipment,
    key::Key,
    planner::Planner,
    sandbox::read_manifest,
    sealing::SealingKey,
    state::RunFolder,
};

/// Components by digest.
pub type Components = BTreeMap<Digest, Vec<u8>>;

/// A plan, and all that a run of it needs.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Its text.
    pub text: String,
    /// Plugins and connections.
    pub equipment: Equipment,
    /// Its sealing key.
    pub key: Arc<SealingKey>,
    /// The components it pins.
    pub components: Components,
}

impl Host {
    /// Plans a workflow that has no errors. `plugins` has each alias's component; paths in the workflow start at `folder`.
    pub async fn prepare(
        &self,
        workflow: &Workflow,
        (file, text): (&str, &str),
        plugins: BTreeMap<String, Vec<u8>>,
        inputs: Map<String, Value>,
        folder: &Path,
    ) -> Result<Prepared, HostError> {
        let key = Arc::new(SealingKey::generate(&*self.entropy));
        let catalog = catalog(&plugins)?;
        let mut equipment = self.load(&plugins).await?;
        let opening = self.opening(&key);
        let mut connections = BTreeMap::new();
        for (name, connection) in &workflow.connections {
            let config = declared(name, connection, folder)?;
            connections.insert(name.clone(), equipment.connect(&self.kinds, config, &opening).await?);
        }
        let planner = Planner {
            workflow,
            file: file.to_owned(),
            text,
            catalog: &catalog,
            equipment: &equipment,
            connections,
            key: key.clone(),
            entropy: self.entropy.clone(),
            limits: self.limits,
        };
        let planned = planner.plan(inputs).await.map_err(HostError::from);
        let planned = planned.and_then(|(plan, text)| scan(&text, &key).map(|()| (plan, text)));
        if planned.is_err() {
            equipment.close().await;
        }
        let (plan, text) = planned?;
        let components = plugins.into_values().map(|component| (Digest::of(&component), component)).collect();
        Ok(Prepared { plan, text, equipment, key, components })
    }

    /// Reads a saved plan. Its components are looked for among `available`, by digest.
    pub async fn read_plan(&self, path: &Path, available: impl Fn(Digest) -> Option<Vec<u8>>) -> Result<Prepared, HostError> {
        let text = self.plan_text(path)?;
        let plan = Plan::read(&text).map_err(|source| HostError::Plan { path: path.to_owned(), source })?;
        let key = self.sealing_key(&text, path)?;
        let mut components = Components::new();
        for (alias, plugin) in &plan.header.plugins {
            let component = available(plugin.digest).filter(|component| Digest::of(component) == plugin.digest);
            let component = component.ok_or_else(|| HostError::OtherPlugin { alias: alias.clone(), plugin: plugin.clone() })?;
            components.insert(plugin.digest, component);
        }
        let equipment = self.equip(&plan, &components, &key).await?;
        Ok(Prepared { plan, text, equipment, key, components })
    }

    /// Plans the same workflow again, with the same key, plugins and connections.
    pub(super) async fn plan_again(
        &self,
        plan: &Plan,
        components: &Components,
        equipment: &Equipment,
        key: &Arc<SealingKey>,
    ) -> Result<PlannedAgain, HostError> {
        let header = &plan.header;
        let (workflow, _) = Workflow::parse(&header.source);
        let workflow =
            workflow.ok_or_else(|| HostError::Plan { path: PathBuf::from(&header.file), source: cutover_engine::PlanTextError::Cut })?;
        let plugins =
            header.plugins.iter().map(|(alias, plugin)| (alias.clone(), components.get(&plugin.digest).cloned().unwrap_or_default()));
        let catalog = catalog(&plugins.collect())?;
        let planner = Planner {
            workflow: &workflow,
            file: header.file.clone(),
            text: &header.source,
            catalog: &catalog,
            equipment,
            connections: header.connections.clone(),
            key: key.clone(),
            entropy: self.entropy.clone(),
            limits: self.limits,
        };
        Ok(planner.plan_again(header.inputs.clone()).await?)
    }

    /// Loads the plan's components and opens its connections again.
    pub(super) async fn equip(&self, plan: &Plan, components: &Components, key: &Arc<SealingKey>) -> Result<Equipment, HostError> {
        let plugins =
            plan.header.plugins.iter().map(|(alias, plugin)| (alias.clone(), components.get(&plugin.digest).cloned().unwrap_or_default()));
        let mut equipment = self.load(&plugins.collect()).await?;
        let opening = self.opening(key);
        for (name, planned) in &plan.header.connections {
            let now = equipment.reconnect(&self.kinds, name, planned, &opening).await?;
            if (&now.authority, &now.members) != (&planned.authority, &planned.members) {
                return Err(HostError::ConnectionMoved { name: name.clone() });
            }
        }
        Ok(equipment)
    }

    pub(super) fn stored_components(&self, folder: &RunFolder, plan: &Plan) -> Result<Components, HostError> {
        let mut components = Components::new();
        for (alias, plugin) in &plan.header.plugins {
            let path = folder.component(plugin.digest);
            let component = self.state.disk().read(&path).map_err(DiskError::io("read", &path))?;
            if Digest::of(&component) != plugin.digest {
                return Err(HostError::OtherPlugin { alias: alias.clone(), plugin: plugin.clone() });
            }
            components.insert(plugin.digest, component);
        }
        Ok(components)
    }

    async fn load(&self, plugins: &BTreeMap<String, Vec<u8>>) -> Result<Equipment, HostError> {
        let mut equipment = Equipment::default();
        for (alias, component) in plugins {
            let plugin = self.sandbox.load(component).await.map_err(|source| HostError::Load { alias: alias.clone(), source })?;
            equipment.plugins.insert(alias.clone(), Arc::new(plugin));
        }
        Ok(equipment)
    }

    fn opening(&self, key: &Arc<SealingKey>) -> Opening {
        let digest_key = Key::from_bytes(*key.expose()).derive("etag");
        Opening {
            clock: self.clock.clone(),
            credentials: Credentials::default().watched_by(key.scanner().clone()),
            limits: WireLimits::default(),
            digest_key: Zeroizing::new(*digest_key.as_bytes()),
        }
    }
}

/// Holds what the plugins put into a plan against the secrets that left the host. Others no plugin knows: where one equals a
/// name, the name is no secret. The first line is the operator's own text.
fn scan(text: &str, key: &SealingKey) -> Result<(), HostError> {
    let changes = text.split_once('\n').map_or("", |(_, changes)| changes);
    if !key.scanner().hit_outside(changes.as_bytes()) {
        return Ok(());
    }
    let line = changes.lines().position(|line| key.scanner().hit_outside(line.as_bytes()));
    let place = line.map_or_else(|| "the plan".to_owned(), |line| format!("line {} of the plan", line + 2));
    Err(HostError::Leak { place })
}

/// What the components say of themselves, without running them.
pub fn catalog(plugins: &BTreeMap<String, Vec<u8>>) -> Result<Catalog, HostError> {
    let mut catalog = Catalog::default();
    for (alias, component) in plugins {
        let manifest = read_manifest(component).map_err(|source| HostError::Component { alias: alias.clone(), source })?;
        catalog.plugins.insert(alias.clone(), Offer { digest: Digest::of(component), manifest });
    }
    Ok(catalog)
}
