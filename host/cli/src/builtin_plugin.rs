//! The plugins inside of the program. A release has those that are shipped; other builds have none.

use cutover_engine::{Digest, Manifest, PluginOrigin};

use crate::plugin_path::Wanted;

include!(concat!(env!("OUT_DIR"), "/builtin_plugins.rs"));

/// Packed components that are part of the program.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinPlugins(&'static [&'static [u8]]);

impl BuiltinPlugins {
    /// Those of this program.
    #[must_use]
    pub const fn of_program() -> Self {
        Self(PACKED)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The one that fits, with what `read` took from it.
    pub fn find<T>(self, wanted: Wanted<'_>, read: impl Fn(&[u8]) -> Option<(Manifest, T)>) -> Option<(&'static [u8], Manifest, T)> {
        self.0.iter().find_map(|bytes| {
            let (manifest, extra) = read(bytes)?;
            let fits = manifest.name == wanted.package && PluginOrigin::admits_version(wanted.version, &manifest.version);
            fits.then_some((*bytes, manifest, extra))
        })
    }

    /// The one with that digest.
    #[must_use]
    pub fn component(self, digest: Digest) -> Option<Vec<u8>> {
        self.0.iter().find(|bytes| Digest::of(bytes) == digest).map(|bytes| bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components of these tests are `name version`.
    fn read(bytes: &[u8]) -> Option<(Manifest, ())> {
        let (name, version) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some((
            Manifest { name: name.into(), version: version.into(), summary: String::new(), operations: Vec::new(), losses: Vec::new() },
            (),
        ))
    }

    #[test]
    fn the_one_that_fits_is_found_by_name_and_version_or_by_digest() {
        let plugins = BuiltinPlugins(&[b"broken", b"cutover:a 0.1.2", b"cutover:b 0.1.0"]);
        let find = |package, version| plugins.find(Wanted { package, version }, read).map(|(bytes, ..)| bytes);
        assert_eq!(find("cutover:a", "0.1"), Some(b"cutover:a 0.1.2".as_slice()));
        assert_eq!((find("cutover:a", "0.2"), find("cutover:c", "0.1")), (None, None));
        assert_eq!(plugins.component(Digest::of(b"cutover:b 0.1.0")), Some(b"cutover:b 0.1.0".to_vec()));
        assert_eq!(plugins.component(Digest::of(b"else")), None);
    }

    #[test]
    fn only_a_release_has_plugins_inside() {
        assert!(!cfg!(debug_assertions) || BuiltinPlugins::of_program().is_empty());
    }
}
