//! Which plugins a workflow uses: `[plugins]`.

use toml::{Spanned, de::DeValue};

use super::reader::Reader;
use crate::{
    diagnostic::{Place, Placed},
    digest::Digest,
    name::is_identifier,
};

/// One entry of `[plugins]`.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// Where its alias is.
    pub place: Place,
    /// Where the plugin comes from.
    pub origin: PluginOrigin,
    /// The component it must be, if the file pins one: `digest = "sha256:…"`.
    pub digest: Option<Placed<Digest>>,
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginOrigin {
    /// By name, looked up in the plugin path.
    Package {
        /// `namespace:name`.
        name: String,
        /// `0.1` means any `0.1.x`, as the leading parts of the version.
        version: String,
    },
    /// A file, relative to the workflow.
    Path(String),
}

impl PluginOrigin {
    /// Whether a version fits the one asked for: its parts begin with the parts asked for.
    #[must_use]
    pub fn admits_version(asked: &str, found: &str) -> bool {
        let mut parts = found.split(['.', '-', '+']);
        asked.split('.').all(|part| parts.next() == Some(part))
    }
}

/// Reads one entry of `[plugins]`.
pub(super) fn read(reader: &mut Reader<'_>, name: &Placed<String>, value: &Spanned<DeValue<'_>>) -> Option<PluginEntry> {
    if let Err(rule) = is_identifier(&name.value) {
        reader.error("CUT0108", name.place, format!("`{}` is no plugin alias: {rule}", name.value.escape_debug()));
    }
    let mut fields = reader.fields(&name.value, value, "a plugin")?;
    let package = fields.text(reader, "package");
    let version = fields.text(reader, "version");
    let path = fields.string(reader, "path");
    let digest = fields.text(reader, "digest").and_then(|text| {
        let place = text.place();
        let bare = text.value.strip_prefix("sha256:").ok_or_else(|| "a digest begins with `sha256:`".to_owned());
        reader.keep("CUT0107", place, bare.and_then(str::parse)).map(|value| Placed { value, place })
    });
    let origin = match (package, path) {
        (Some(_), Some(path)) => {
            reader.error("CUT0111", path.place, "a plugin has either `package` or `path`");
            None
        }
        (None, Some(path)) => Some(PluginOrigin::Path(path.value)),
        (Some(package), None) => {
            fields.require(reader, "version");
            if package.value.split(':').filter(|part| is_identifier(part).is_ok()).count() != 2 || package.value.matches(':').count() != 1 {
                reader.error(
                    "CUT0108",
                    package.place(),
                    format!("`{}` is no package: write `namespace:name`", package.value.escape_debug()),
                );
            }
            let version = version.filter(|version| {
                let good = version.value.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
                    && version.value.split('.').count() <= 3;
                if !good {
                    reader.error(
                        "CUT0107",
                        version.place(),
                        format!("`{}` is no version: write `1`, `0.1` or `0.1.2`", version.value.escape_debug()),
                    );
                }
                good
            });
            version.map(|version| PluginOrigin::Package { name: package.value, version: version.value })
        }
        (None, None) => {
            if !fields.has("package") && !fields.has("path") {
                reader.error("CUT0106", fields.place, "a plugin needs `package` and `version`, or `path`");
            }
            None
        }
    };
    fields.finish(reader);
    Some(PluginEntry { place: name.place, origin: origin?, digest })
}
