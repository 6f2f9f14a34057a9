//! What a plan or a run works with: loaded plugins and opened connections.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use cutover_engine::{Failure, FailureCase, Operation, PlannedConnection, PlannedOperation, PlannedProbe, Pointer};

use crate::{
    connection::{Backend, ConnectionConfig, Kinds, OpenError, Opened, Opening},
    policy::{Policy, RequestPath},
    sandbox::Plugin,
};

/// Loaded plugins by alias and opened connections by name.
#[derive(Clone, Default)]
pub struct Equipment {
    /// By alias.
    pub plugins: BTreeMap<String, Arc<Plugin>>,
    connections: BTreeMap<String, Arc<Connected>>,
}

/// A connection with its declaration.
struct Connected {
    config: ConnectionConfig,
    opened: Opened,
    /// The path of an object that was read through it.
    met: OnceLock<String>,
}

/// The roles of one operation, each with what plays it and the rules for it.
pub struct Seats {
    roles: BTreeMap<String, Seat>,
}

/// Who plays a role.
pub(crate) struct Seat {
    /// The rules.
    pub(crate) policy: Policy,
    connected: Arc<Connected>,
    /// Places of responses that are public by the workflow's word.
    pub(crate) public: Vec<Pointer>,
    /// Places of responses that the plugin may see in plain, and nobody else.
    pub(crate) granted: Vec<Pointer>,
}

impl Equipment {
    /// Opens a connection and says how the plan names it.
    pub async fn connect(&mut self, kinds: &Kinds, config: ConnectionConfig, opening: &Opening) -> Result<PlannedConnection, OpenError> {
        let opened = kinds.open(&config, opening).await?;
        let (authority, members) = match &opened {
            Opened::One(backend) => (backend.authority().to_owned(), Vec::new()),
            Opened::Set(members) => {
                let members = members.iter().map(|(name, backend)| (name.clone(), backend.authority().to_owned()));
                (format!("set:{}", config.name), members.collect())
            }
        };
        let declaration = serde_json::to_value(&config).expect("a declaration has string keys only");
        let planned = PlannedConnection { kind: config.kind.clone(), authority, members, declaration };
        self.connections.insert(config.name.clone(), Arc::new(Connected { config, opened, met: OnceLock::new() }));
        Ok(planned)
    }

    /// Opens the connections of a stored plan again. A set whose members moved since is refused by the caller, who
    /// compares what comes back with the plan.
    pub async fn reconnect(
        &mut self,
        kinds: &Kinds,
        name: &str,
        planned: &PlannedConnection,
        opening: &Opening,
    ) -> Result<PlannedConnection, OpenError> {
        let config: ConnectionConfig = serde_json::from_value(planned.declaration.clone()).map_err(|error| OpenError::Declaration {
            name: name.to_owned(),
            problem: format!("the plan's declaration cannot be read: {error}"),
        })?;
        self.connect(kinds, config, opening).await
    }

    /// The seats of a step's operation. `verify` puts the connections of `verify_with` in place.
    pub fn seats(&self, planned: &PlannedOperation, verify: bool) -> Result<Seats, Failure> {
        let operation = self.operation(&planned.plugin, &planned.operation)?;
        let mut roles = BTreeMap::new();
        for role in &operation.roles {
            let name = planned.connections.get(&role.name);
            let name = if verify { planned.verify_with.get(&role.name).or(name) } else { name };
            let public = planned.public.get(&role.name).cloned().unwrap_or_default();
            let mut seat = self.seat(role, name, public)?;
            seat.granted.extend(planned.plaintext.iter().filter(|grant| grant.role == role.name).map(|grant| grant.pointer.clone()));
            roles.insert(role.name.clone(), seat);
        }
        Ok(Seats { roles })
    }

    /// The seats of a probe.
    pub fn probe_seats(&self, planned: &PlannedProbe) -> Result<Seats, Failure> {
        let operation = self.operation(&planned.plugin, &planned.operation)?;
        let mut roles = BTreeMap::new();
        for role in &operation.roles {
            roles.insert(role.name.clone(), self.seat(role, planned.connections.get(&role.name), planned.public.clone())?);
        }
        Ok(Seats { roles })
    }

    /// The seats of an operation outside of any plan: each role is played by the connection of its own name.
    pub(crate) fn seats_by_role(&self, operation: &Operation, public: &BTreeMap<String, Vec<Pointer>>) -> Result<Seats, Failure> {
        let seat = |role: &cutover_engine::Role| {
            let public = public.get(&role.name).cloned().unwrap_or_default();
            Ok((role.name.clone(), self.seat(role, Some(&role.name), public)?))
        };
        Ok(Seats { roles: operation.roles.iter().map(seat).collect::<Result<_, Failure>>()? })
    }

    /// The backend behind a connection that is no set.
    #[must_use]
    pub fn backend(&self, connection: &str) -> Option<&Arc<dyn Backend>> {
        match &self.connections.get(connection)?.opened {
            Opened::One(backend) => Some(backend),
            Opened::Set(_) => None,
        }
    }

    /// The path of an object that was read through a connection since it was opened: it stands for all that is read there.
    #[must_use]
    pub fn met(&self, connection: &str) -> Option<&str> {
        self.connections.get(connection)?.met.get().map(String::as_str)
    }

    /// Gives up what was obtained from the backends for a while, such as logins. A later request obtains it again.
    pub async fn close(&self) {
        for connected in self.connections.values() {
            match &connected.opened {
                Opened::One(backend) => backend.close().await,
                Opened::Set(members) => {
                    for (_, backend) in members {
                        backend.close().await;
                    }
                }
            }
        }
    }

    /// The operation of a loaded plugin.
    pub fn operation(&self, plugin: &str, operation: &str) -> Result<&Operation, Failure> {
        let plugin = self.plugins.get(plugin).and_then(|plugin| plugin.manifest().operation(operation));
        plugin.ok_or_else(|| missing(format!("operation `{operation}`")))
    }

    fn seat(&self, role: &cutover_engine::Role, name: Option<&String>, public: Vec<Pointer>) -> Result<Seat, Failure> {
        let connected =
            name.and_then(|name| self.connections.get(name)).ok_or_else(|| missing(format!("connection of role `{}`", role.name)))?;
        let table = match &connected.opened {
            Opened::One(backend) => backend.table(),
            Opened::Set(members) => members.first().map(|(_, backend)| backend.table()).ok_or_else(|| missing("member".to_owned()))?,
        };
        let mut public = public;
        public.extend(connected.config.public.iter().cloned());
        let policy = Policy::new(&connected.config.name, role, table, &connected.config.reads)?;
        Ok(Seat { policy, connected: connected.clone(), public, granted: Vec::new() })
    }
}

impl Seats {
    /// Whether the backends can work now. Members of sets are left to the changes that are about them: one that is down is no
    /// reason to wait with the others.
    pub(crate) async fn health(&self) -> Result<(), Failure> {
        for seat in self.roles.values() {
            if let Opened::One(backend) = &seat.connected.opened {
                backend.health().await?;
            }
        }
        Ok(())
    }

    /// Who plays the role.
    pub(crate) fn seat(&self, role: &str) -> Option<&Seat> {
        self.roles.get(role)
    }
}

impl Seat {
    /// The backend: the connection's, or the named member's.
    pub(crate) fn backend(&self, member: Option<&str>) -> Option<&Arc<dyn Backend>> {
        match (&self.connected.opened, member) {
            (Opened::One(backend), None) => Some(backend),
            (Opened::Set(members), Some(member)) => members.iter().find(|(name, _)| name == member).map(|(_, backend)| backend),
            _ => None,
        }
    }

    /// The members' names; empty if it is no set.
    pub(crate) fn members(&self) -> Vec<String> {
        match &self.connected.opened {
            Opened::One(_) => Vec::new(),
            Opened::Set(members) => members.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Notes that an object was read, unless one is known. Where a path leads decides what is one: a setting of a mount is none.
    pub(crate) fn meet(&self, backend: &dyn Backend, path: &RequestPath, object: &str) {
        if self.connected.met.get().is_none()
            && backend.known_ground(path).is_some_and(|ground| object.strip_prefix(&ground.mount).is_some_and(|key| key.starts_with('/')))
        {
            // Another request may have been quicker: its object is as good.
            let _ = self.connected.met.set(object.to_owned());
        }
    }

    /// The connection's name, for messages.
    pub(crate) fn connection(&self) -> &str {
        &self.connected.config.name
    }
}

fn missing(what: String) -> Failure {
    Failure {
        case: FailureCase::InvalidInput,
        code: Some("CUT3401".to_owned()),
        text: format!("the plan names a {what} that is not there"),
    }
}
