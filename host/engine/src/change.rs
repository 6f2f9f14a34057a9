//! A change: the smallest unit that is applied, verified and undone as one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{digest::Digest, name::checked_name};

checked_name! {
    /// A change's id: unique within its step, the same from plan to plan.
    ChangeId, "change id", |text| match text {
        "" => Err("it is empty"),
        _ if text.len() > 512 => Err("it is longer than 512 bytes"),
        _ if text.chars().any(char::is_control) => Err("it has control characters"),
        _ => Ok(()),
    }
}

/// A change's place in its plan. The journal names changes by it: 100,000 of them stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeNo(pub u32);

impl ChangeNo {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One thing in one backend, as the plugin names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// A role of the operation.
    pub role: String,
    /// The member, if the role's connection is a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The path below the connection's authority and namespace.
    pub path: String,
}

impl std::fmt::Display for Object {
    /// `role:path` or `role/member:path`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.member {
            Some(member) => write!(f, "{}/{member}:{}", self.role, self.path),
            None => write!(f, "{}:{}", self.role, self.path),
        }
    }
}

/// What a change does to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Something is made that was not there.
    Create,
    /// Something that was there gets another value.
    Update,
    /// Something that was there is taken away or put aside.
    Remove,
    /// Something else becomes the one in use.
    Switch,
}

/// What the target cannot hold, or what a rollback cannot restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// A code of the manifest's closed list.
    pub code: String,
    /// How many items are affected.
    pub count: u32,
    /// What exactly, in words.
    pub detail: String,
}

/// A change as the plugin planned it: everything that later hooks are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// Unique within the step.
    pub id: ChangeId,
    /// Every object that apply or rollback may write.
    pub subject: Vec<Object>,
    /// Ids of changes of the linked step.
    #[serde(default)]
    pub links: Vec<ChangeId>,
    /// What happens to the subject.
    pub action: Action,
    /// A name by which a workflow can form a cohort.
    #[serde(default)]
    pub group: Option<String>,
    /// One line for the plan.
    pub summary: String,
    /// The plugin's own.
    pub instruction: Value,
    /// What this change loses.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// How a person undoes it by hand.
    pub by_hand: String,
    /// Why it cannot be made as things are. No change of a [`Plan`](crate::Plan) has a reason here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

impl ChangeBody {
    /// The digest that a later plan is compared with: SHA-256 of its JSON text as it stands in a plan.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("a change body has string keys only"))
    }
}
