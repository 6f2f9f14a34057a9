//! What can be told of a component from its bytes alone: nothing is compiled, nothing is run.

use cutover_engine::{Digest, Manifest};
use wasmparser::{Chunk, Parser, Payload};

use super::{
    audit::{self, RefusedImport, World},
    code, manifest, text,
};

/// The custom section that holds the manifest as JSON.
const SECTION: &str = "cutover:manifest";
/// Largest manifest, in bytes. It is read before anything else is known of the component.
const MANIFEST_BYTES: usize = 1024 * 1024;
/// Longest text taken over from a component into an error, in bytes.
const QUOTE_BYTES: usize = 500;

/// What is wrong with a component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// Larger than the limit.
    #[error("the component has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// In bytes.
        size: usize,
        /// In bytes.
        limit: usize,
    },
    /// A core module, which has no typed interface.
    #[error("this is a core WebAssembly module, no component; make one of it with `cutover plugin pack`")]
    CoreModule,
    /// Not WebAssembly, or damaged.
    #[error("this is no WebAssembly component: {reason}")]
    NotAComponent {
        /// The parser's words.
        reason: String,
    },
    /// The section is missing.
    #[error("the component has no manifest; add it with `cutover plugin pack`")]
    NotPacked,
    /// The section is there more than once.
    #[error("the component has more than one manifest; pack it again with `cutover plugin pack`")]
    PackedTwice,
    /// The manifest breaks rules.
    #[error("the manifest is not valid: {}", problems.join("; "))]
    Manifest {
        /// One text per broken rule.
        problems: Vec<String>,
    },
    /// Imports that the host does not offer.
    #[error("{}", imports.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Imports {
        /// Each with its remedy.
        imports: Vec<RefusedImport>,
    },
    /// An export of the contract in another version.
    #[error("{export}")]
    Version {
        /// The export with both versions and the remedy.
        export: RefusedImport,
    },
    /// Exports that make no world of the contract.
    #[error(
        "the component exports {exports}; a plugin exports `cutover:plugin/plugin` and one of `cutover:plugin/migration` and `cutover:plugin/probe`"
    )]
    World {
        /// What it exports.
        exports: String,
    },
}

impl ComponentError {
    /// The diagnostic code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => code::TOO_LARGE,
            Self::CoreModule | Self::NotAComponent { .. } => code::NOT_A_COMPONENT,
            Self::NotPacked | Self::PackedTwice => code::NOT_PACKED,
            Self::Manifest { .. } => code::MANIFEST,
            Self::Imports { imports } if imports.iter().all(RefusedImport::is_version) => code::VERSION,
            Self::Imports { .. } => code::IMPORT,
            Self::Version { .. } => code::VERSION,
            Self::World { .. } => code::WORLD,
        }
    }
}

/// What `cutover plugin inspect` shows.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Which hooks it has.
    pub world: World,
    /// The interfaces it asks for.
    pub imports: Vec<String>,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Reads a packed component.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ComponentError> {
    let anatomy = Anatomy::read(bytes)?;
    let world = audit::world(&anatomy.imports, &anatomy.exports)?;
    let manifest = anatomy.manifest()?;
    Ok(Inspection { size: bytes.len() as u64, digest: Digest::of(bytes), world, imports: anatomy.imports, manifest })
}

/// Reads the manifest of a packed component.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, ComponentError> {
    Anatomy::read(bytes)?.manifest()
}

/// The outermost parts of a component.
pub(super) struct Anatomy<'a> {
    /// Names of imports.
    pub(super) imports: Vec<String>,
    /// Names of exports.
    pub(super) exports: Vec<String>,
    manifests: Vec<&'a [u8]>,
    /// Where the manifest sections are, with their headers.
    sections: Vec<std::ops::Range<usize>>,
}

impl<'a> Anatomy<'a> {
    /// Reads the sections of the component itself; what is nested in it is passed over.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ComponentError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(ComponentError::NotAComponent { reason: "the file does not begin with the four bytes `\\0asm`".to_owned() });
        }
        if Parser::is_core_wasm(bytes) {
            return Err(ComponentError::CoreModule);
        }
        let mut anatomy = Self { imports: Vec::new(), exports: Vec::new(), manifests: Vec::new(), sections: Vec::new() };
        let mut parser = Parser::new(0);
        let mut position = 0;
        loop {
            let rest = bytes.get(position..).ok_or_else(|| damaged("a section is cut off"))?;
            let (payload, consumed) = match parser.parse(rest, true).map_err(damaged)? {
                Chunk::Parsed { payload, consumed } => (payload, consumed),
                Chunk::NeedMoreData(_) => return Err(damaged("it is cut off")),
            };
            let start = position;
            position += consumed;
            match payload {
                Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                    position = unchecked_range.end;
                }
                Payload::ComponentImportSection(imports) => {
                    for import in imports {
                        anatomy.imports.push(import.map_err(damaged)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) => {
                    for export in exports {
                        anatomy.exports.push(export.map_err(damaged)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == SECTION => {
                    anatomy.manifests.push(section.data());
                    anatomy.sections.push(start..position);
                }
                Payload::End(_) => return Ok(anatomy),
                _ => {}
            }
        }
    }

    /// The manifest, if it is there once and keeps the rules.
    pub(super) fn manifest(&self) -> Result<Manifest, ComponentError> {
        let text = match self.manifests[..] {
            [text] => text,
            [] => return Err(ComponentError::NotPacked),
            _ => return Err(ComponentError::PackedTwice),
        };
        if text.len() > MANIFEST_BYTES {
            let problem = format!("it has {} bytes, more than {MANIFEST_BYTES}", text.len());
            return Err(ComponentError::Manifest { problems: vec![problem] });
        }
        let manifest: Manifest = serde_json::from_slice(text)
            .map_err(|error| ComponentError::Manifest { problems: vec![text::line(&error.to_string(), QUOTE_BYTES)] })?;
        let problems = manifest::problems(&manifest);
        if problems.is_empty() { Ok(manifest) } else { Err(ComponentError::Manifest { problems }) }
    }
}

/// The component with this manifest, in place of any that is there.
pub(super) fn with_manifest(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, ComponentError> {
    let anatomy = Anatomy::read(component)?;
    let mut packed = Vec::with_capacity(component.len() + 4096);
    let mut position = 0;
    for section in anatomy.sections {
        packed.extend_from_slice(&component[position..section.start]);
        position = section.end;
    }
    packed.extend_from_slice(&component[position..]);

    let text = serde_json::to_vec(manifest).expect("a manifest has string keys only");
    let mut content = length(SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(&text);
    packed.push(0); // the id of custom sections
    packed.extend(length(content.len()));
    packed.extend(content);
    Ok(packed)
}

/// Unsigned LEB128 (WebAssembly core specification, section 5.2.2).
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn damaged(reason: impl std::fmt::Display) -> ComponentError {
    ComponentError::NotAComponent { reason: text::line(&reason.to_string(), QUOTE_BYTES) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::manifest::tests::sample;

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("component text")
    }

    #[test]
    fn what_is_packed_can_be_read_and_packed_again() {
        let bare = component("(component (core module) (component (@custom \"cutover:manifest\" \"nested\")))");
        assert!(matches!(read_manifest(&bare), Err(ComponentError::NotPacked)));
        let first = with_manifest(&bare, &sample()).expect("packed");
        assert_eq!(read_manifest(&first).expect("there"), sample());
        let changed = Manifest { summary: "another".repeat(50), ..sample() };
        let second = with_manifest(&first, &changed).expect("packed again");
        assert_eq!(read_manifest(&second).expect("there"), changed);
        assert_eq!(with_manifest(&second, &sample()).expect("packed again"), first);
    }

    #[test]
    fn two_manifests_are_refused() {
        let twice = component("(component (@custom \"cutover:manifest\" \"{}\") (@custom \"cutover:manifest\" \"{}\"))");
        assert!(matches!(read_manifest(&twice), Err(ComponentError::PackedTwice)));
    }

    #[test]
    fn damaged_files_are_errors_never_panics() {
        let whole = with_manifest(&component("(component (core module (func nop)) (component))"), &sample()).expect("packed");
        for end in 0..whole.len() {
            assert!(read_manifest(&whole[..end]).is_err(), "cut at {end}");
        }
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 0x81;
            // Some flips are harmless; none may panic.
            let _ = inspect(&flipped);
        }
        assert!(matches!(read_manifest(&component("(module)")), Err(ComponentError::CoreModule)));
        assert!(matches!(read_manifest(b"#!/bin/sh"), Err(ComponentError::NotAComponent { .. })));
    }
}
