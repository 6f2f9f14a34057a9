//! A step made concrete: once, or once for every element that it fans out over.

use std::collections::BTreeSet;

use serde_json::Value;

use super::step::{Step, Task};
use crate::{
    diagnostic::{Diagnostic, Place},
    reference::Scope,
};

/// Most instances of one step.
const MAX_INSTANCES: usize = 10_000;

/// One instance of a step.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The key of its element; none without `for_each`.
    pub key: Option<String>,
    /// `copy` or `copy["eu"]`.
    pub id: String,
    /// The operation's input; null if it is skipped.
    pub input: Value,
    /// The scope with `each`, for its probes' `with` and `expect`.
    pub scope: Scope,
    /// Whether `when` said no.
    pub skipped: bool,
}

impl Step {
    /// Its instances, in the order of the list, or of the map's keys. A gate has none.
    ///
    /// # Errors
    /// References that lead nowhere, a `when` that cannot be decided, a `for_each` that is no list or map or has
    /// two equal keys.
    pub fn instances(&self, scope: &Scope) -> Result<Vec<Instance>, Vec<Diagnostic>> {
        let Some(task) = self.task() else { return Ok(Vec::new()) };
        let Some(for_each) = &task.for_each else {
            return self.instance(task, None, scope.clone()).map(|instance| vec![instance]).map_err(|problem| vec![problem]);
        };
        let place = for_each.place();
        let set = for_each.resolve(scope).map_err(|error| vec![Diagnostic::error("CUT0318", error.place, error.message)])?;
        let elements = elements(set, place).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut instances = Vec::with_capacity(elements.len());
        for (key, value) in elements {
            let scope = scope.clone().with_each(&key, value);
            match self.instance(task, Some(key), scope) {
                Ok(instance) => instances.push(instance),
                Err(problem) => problems.push(problem),
            }
        }
        problems.dedup();
        if problems.is_empty() { Ok(instances) } else { Err(problems) }
    }

    fn instance(&self, task: &Task, key: Option<String>, scope: Scope) -> Result<Instance, Diagnostic> {
        let id = key.as_ref().map_or_else(|| self.id.value.to_string(), |key| format!("{}[{}]", self.id.value, Value::from(key.as_str())));
        let wanted = task.when.as_ref().map_or(Ok(true), |when| when.evaluate(&scope));
        let skipped = !wanted.map_err(|undecided| {
            Diagnostic::error("CUT0212", undecided.place, format!("`when` of `{id}` cannot be decided: {undecided}"))
        })?;
        let input = if skipped { Ok(Value::Null) } else { task.with.resolve(&scope) };
        let input = input.map_err(|error| Diagnostic::error("CUT0213", error.place, format!("input of `{id}`: {error}")))?;
        Ok(Instance { key, id, input, scope, skipped })
    }
}

/// Key and value of every element. The key of a list's element is the element if it is a string, else its index.
fn elements(set: Value, place: Place) -> Result<Vec<(String, Value)>, Diagnostic> {
    let elements: Vec<(String, Value)> = match set {
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (item.as_str().map_or_else(|| index.to_string(), str::to_owned), item))
            .collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            entries
        }
        _ => return Err(Diagnostic::error("CUT0318", place, "`for_each` goes over a list or a map")),
    };
    if elements.len() > MAX_INSTANCES {
        return Err(Diagnostic::error(
            "CUT0318",
            place,
            format!("`for_each` goes over {} elements; at most {MAX_INSTANCES}", elements.len()),
        ));
    }
    let mut seen = BTreeSet::new();
    match elements.iter().find(|(key, _)| !seen.insert(key)) {
        Some((key, _)) => Err(Diagnostic::error("CUT0318", place, format!("two elements have the key `{}`", key.escape_debug()))),
        None => Ok(elements),
    }
}
