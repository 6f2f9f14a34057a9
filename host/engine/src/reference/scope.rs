//! The values that references can reach at one moment.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Root;

/// The values behind the roots. Cheap to clone, so that every instance of a step has its own.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    inputs: Option<Arc<Value>>,
    steps: Option<Arc<Value>>,
    each: Option<Arc<Value>>,
    run: Option<Arc<Value>>,
    result: Option<Arc<Value>>,
}

impl Scope {
    /// With the values of the inputs, as `Workflow::bind` returns them.
    #[must_use]
    pub fn with_inputs(self, inputs: Map<String, Value>) -> Self {
        Self { inputs: Some(Arc::new(Value::Object(inputs))), ..self }
    }

    /// With the outputs of steps: an object, step id → output, or → key → output for a step with `for_each`.
    #[must_use]
    pub fn with_steps(self, steps: Value) -> Self {
        Self { steps: Some(Arc::new(steps)), ..self }
    }

    /// For one instance of a step with `for_each`.
    #[must_use]
    pub fn with_each(self, key: &str, value: Value) -> Self {
        Self { each: Some(Arc::new(json!({ "key": key, "value": value }))), ..self }
    }

    /// With the facts of the workflow.
    #[must_use]
    pub fn with_run(self, run: Value) -> Self {
        Self { run: Some(Arc::new(run)), ..self }
    }

    /// With what a probe observed.
    #[must_use]
    pub fn with_result(self, result: Value) -> Self {
        Self { result: Some(Arc::new(result)), ..self }
    }

    /// `{key, value}` of the element, for an instance of a step with `for_each`.
    #[must_use]
    pub fn each(&self) -> Option<&Value> {
        self.each.as_deref()
    }

    pub(crate) fn root(&self, root: Root) -> Option<&Value> {
        let value = match root {
            Root::Inputs => &self.inputs,
            Root::Steps => &self.steps,
            Root::Each => &self.each,
            Root::Run => &self.run,
            Root::Result => &self.result,
        };
        value.as_deref()
    }
}
