//! What a plugin plans.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{failure::Failure, fingerprint::fingerprint};

/// One thing in one backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// A role of the operation; the workflow maps it to a connection.
    pub role: String,
    /// The member, if that connection is a set.
    pub member: Option<String>,
    /// The path below the connection's authority and namespace, unencoded, without a leading slash.
    pub path: String,
}

impl Object {
    /// An object of a role that is one connection.
    pub fn new(role: &str, path: &str) -> Self {
        Self { role: role.to_owned(), member: None, path: path.trim_start_matches('/').to_owned() }
    }

    /// The same path at one member of a set.
    pub fn at(mut self, member: &str) -> Self {
        self.member = Some(member.to_owned());
        self
    }

    /// A change id made from the object alone. One that would be too long for an id ends in a fingerprint.
    pub fn change_id(&self) -> String {
        const LONGEST: usize = 400;
        let text: String = self.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if text.len() <= LONGEST && text == self.to_string() {
            return text;
        }
        let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        format!("{}~{}", &text[..end], fingerprint(&Value::from(self.to_string())))
    }
}

impl fmt::Display for Object {
    /// `role:path` or `role/member:path`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member {
            Some(member) => write!(f, "{}/{member}:{}", self.role, self.path),
            None => write!(f, "{}:{}", self.role, self.path),
        }
    }
}

/// What a change does to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// A code of the manifest's closed list.
    pub code: String,
    /// How many items of this change are affected.
    pub count: u32,
    /// What exactly, in words, without values.
    pub detail: String,
}

impl Loss {
    /// A loss of one item.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), count: 1, detail: detail.into() }
    }
}

/// The smallest unit that is applied, verified and undone as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Unique within the step, the same from plan to plan: made from the subject, never from a counter.
    pub id: String,
    /// Every object that apply or rollback may write.
    pub subject: Vec<Object>,
    /// Ids of the linked changes that this one is about.
    pub links: Vec<String>,
    /// What happens to the subject.
    pub action: Action,
    /// A name by which a workflow can form a cohort, such as a team.
    pub group: Option<String>,
    /// One line for the plan, without values.
    pub summary: String,
    /// Whatever the plugin wants to be told again in later hooks.
    pub instruction: Value,
    /// What this change loses.
    pub losses: Vec<Loss>,
    /// How a person undoes it by hand, without secrets.
    pub by_hand: String,
    /// Why it cannot be made as things are; none if it can.
    pub conflict: Option<String>,
}

impl Change {
    /// A change of one object, with the id that follows from it.
    pub fn new(action: Action, object: Object) -> Self {
        Self {
            id: object.change_id(),
            subject: vec![object],
            links: Vec::new(),
            action,
            group: None,
            summary: String::new(),
            instruction: Value::Null,
            losses: Vec::new(),
            by_hand: String::new(),
            conflict: None,
        }
    }

    /// One more object that apply or rollback may write.
    pub fn also(mut self, object: Object) -> Self {
        self.subject.push(object);
        self
    }

    /// The line for the plan.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
        self
    }

    /// The manual undo.
    pub fn by_hand(mut self, text: impl Into<String>) -> Self {
        self.by_hand = text.into();
        self
    }

    /// Why this change cannot be made as things are, in words and without values: something else is in its place.
    ///
    /// Better than a failure of the whole plan: the host names every such change and plans no run with one. If the
    /// reason came after the plan, the run stops or leaves out just this change, as its workflow says. Give the change
    /// the id, subject and links that it would have without that reason.
    pub fn conflict(mut self, why: impl Into<String>) -> Self {
        self.conflict = Some(why.into());
        self
    }

    /// The linked change this one is about.
    pub fn link(mut self, id: &str) -> Self {
        self.links.push(id.to_owned());
        self
    }

    /// One more loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.losses.push(loss);
        self
    }

    /// The name by which a workflow can form a cohort.
    pub fn group(mut self, name: &str) -> Self {
        self.group = Some(name.to_owned());
        self
    }

    /// What later hooks are told.
    pub fn instruct(mut self, instruction: &impl Serialize) -> Result<Self, Failure> {
        self.instruction = serde_json::to_value(instruction).map_err(|error| Failure::internal(format!("instruction: {error}")))?;
        Ok(self)
    }

    /// What [`Change::instruct`] was given.
    pub fn instruction<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.instruction).map_err(|error| Failure::invalid_input(format!("change {}: instruction: {error}", self.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_objects_apart_even_when_it_is_cut() {
        let id = |path: &str| Object::new("target", path).change_id();
        assert_eq!(id("a/b"), "target:a/b");
        let long = "ä".repeat(300);
        assert_ne!(id(&format!("{long}1")), id(&format!("{long}2")));
        assert!(id(&long).len() <= 512);
        assert_ne!(id("a\nb"), id("a\rb"));
        assert!(!id("a\nb").contains('\n'));
    }
}
