//! The folder in which somebody writes a plugin.

use std::path::{Path, PathBuf};

use crate::error::{CommandError, code};

/// The fixture of the conformance kit, in the plugin's folder.
pub const FIXTURE: &str = "conformance.toml";

/// A plugin's folder, and the language it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSource {
    /// The folder.
    pub folder: PathBuf,
    /// The folder's own name: the component's, too.
    pub name: String,
    /// Told by the file that a plugin of the language must have.
    pub language: Language,
}

/// Languages of plugins that can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `Cargo.toml`.
    Rust,
    /// `app.js`.
    JavaScript,
    /// `app.py`.
    Python,
}

impl Language {
    const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    /// The file by which it is known.
    #[must_use]
    pub const fn landmark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "app.js",
            Self::Python => "app.py",
        }
    }
}

impl PluginSource {
    /// Looks at a folder.
    ///
    /// # Errors
    /// [`code::PLUGIN_FOLDER`] if there is no plugin in it.
    pub fn find(folder: &Path) -> Result<Self, CommandError> {
        let shown = folder.display();
        let no_plugin = |why: String| {
            CommandError::no(code::PLUGIN_FOLDER, why)
                .hint("`cutover plugin new NAME --lang rust` writes one; name its folder, or go there")
        };
        let language = Language::ALL.into_iter().find(|language| folder.join(language.landmark()).is_file());
        let Some(language) = language else {
            let known = Language::ALL.map(Language::landmark).join("`, `");
            return Err(no_plugin(format!("`{shown}` is no plugin's folder: it has none of `{known}`")));
        };
        let whole = folder.canonicalize().map_err(|error| no_plugin(format!("`{shown}` cannot be read")).because(&error))?;
        let name = whole.file_name().and_then(|name| name.to_str()).ok_or_else(|| no_plugin(format!("`{shown}` has no name")))?;
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), language })
    }

    /// Where its packed component is, or will be.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_landmark() {
        let folder = tempfile::tempdir().expect("a folder");
        let plugin = folder.path().join("mover");
        std::fs::create_dir(&plugin).expect("a folder");
        let error = PluginSource::find(&plugin).expect_err("nothing in it");
        assert_eq!(error.code(), code::PLUGIN_FOLDER);
        for language in Language::ALL {
            std::fs::write(plugin.join(language.landmark()), "").expect("written");
            let source = PluginSource::find(&plugin).expect("a plugin");
            assert_eq!((source.language, source.component()), (language, plugin.join("mover.wasm")));
            std::fs::remove_file(plugin.join(language.landmark())).expect("removed");
        }
    }
}
