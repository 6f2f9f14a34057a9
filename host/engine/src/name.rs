//! The macro behind every checked name, so that all of them behave alike.

/// Defines a string newtype whose constructor and `Deserialize` run the same check.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// Says which rule the text breaks.
            pub fn new(text: impl Into<std::sync::Arc<str>>) -> Result<Self, String> {
                let text = text.into();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(rule) => Err(format!("`{}` is no {}: {rule}", text.escape_debug(), $what)),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use checked_name;

/// Lower-case words joined by hyphens: the form of names that people write in workflow files.
pub(crate) fn is_identifier(text: &str) -> Result<(), &'static str> {
    match text.as_bytes() {
        [] => Err("it is empty"),
        bytes if bytes.len() > 64 => Err("it is longer than 64 characters"),
        [first, ..] if !first.is_ascii_lowercase() => Err("it must begin with a lower-case letter"),
        bytes if bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')) => Ok(()),
        _ => Err("only lower-case letters, digits, `-` and `_` are allowed"),
    }
}
