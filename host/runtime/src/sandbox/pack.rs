//! Making a plugin out of what a compiler made: a component with its manifest in it.

use wasmparser::Parser;
use wit_component::ComponentEncoder;

use super::{
    Sandbox,
    anatomy::{ComponentError, with_manifest},
    manifest,
    plugin::LoadError,
    text,
};

/// Longest text of the encoder that is shown, in bytes.
const REASON_BYTES: usize = 500;

/// Why a plugin cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A core module without the types of its world, or that imports more than they say.
    #[error("the module cannot be made a component: {0}")]
    Encode(String),
    /// The component would not load.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl From<ComponentError> for PackError {
    fn from(error: ComponentError) -> Self {
        Self::Load(LoadError::Component(error))
    }
}

impl PackError {
    /// The diagnostic code.
    pub fn code(&self) -> &str {
        match self {
            Self::Encode(_) => super::code::NOT_A_COMPONENT,
            Self::Load(error) => error.code(),
        }
    }
}

impl Sandbox {
    /// Packs a core module (with the `component-type` section that wit-bindgen leaves in it) or a component: asks it for
    /// its manifest, checks that, and embeds it in place of any other.
    pub async fn pack(&self, module_or_component: &[u8]) -> Result<Vec<u8>, PackError> {
        let encoded;
        let component = if Parser::is_core_wasm(module_or_component) {
            encoded = encode(module_or_component)?;
            &encoded
        } else {
            module_or_component
        };
        let (_, world) = self.admit(component)?;
        let (program, _) = self.compile(component, world).await?;
        let manifest = program.describe().await.map_err(LoadError::Describe)?;
        let mut problems = manifest::problems(&manifest);
        for operation in &manifest.operations {
            for (what, schema) in [("input-schema", &operation.input_schema), ("output-schema", &operation.output_schema)] {
                if let Err(error) = jsonschema::validator_for(schema) {
                    let problem = format!("{}.{what} is no JSON Schema: {error}", operation.name);
                    problems.push(text::line(&problem, REASON_BYTES));
                }
            }
        }
        if !problems.is_empty() {
            return Err(ComponentError::Manifest { problems }.into());
        }
        let packed = with_manifest(component, &manifest)?;
        // Nothing leaves here that would be refused later.
        self.admit(&packed)?.0.manifest()?;
        Ok(packed)
    }
}

fn encode(module: &[u8]) -> Result<Vec<u8>, PackError> {
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| PackError::Encode(text::line(&format!("{error:#}"), REASON_BYTES)))
}
