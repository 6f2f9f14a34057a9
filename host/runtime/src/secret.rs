//! A secret in the host's memory: wiped when dropped, never printed.

use std::fmt;

use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// Bytes or text that must not be seen.
///
/// It has no `Display`, no `Serialize` and no `Clone`; whoever needs the content says [`Secret::expose`]. The buffer is
/// taken over as it is and never grows, so that no copy is left behind by a reallocation.
pub struct Secret {
    content: Vec<u8>,
    is_text: bool,
}

impl Secret {
    /// Takes text over, without a copy.
    #[must_use]
    pub fn text(content: String) -> Self {
        Self { content: content.into_bytes(), is_text: true }
    }

    /// Takes bytes over, without a copy.
    #[must_use]
    pub fn bytes(content: Vec<u8>) -> Self {
        Self { content, is_text: false }
    }

    /// The content. Keep the borrow short and copy nothing out of it that is not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.content
    }

    /// The content if it is UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.content).ok()
    }

    /// Whether it was made from text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.is_text
    }
}

impl From<String> for Secret {
    fn from(content: String) -> Self {
        Self::text(content)
    }
}

impl From<Vec<u8>> for Secret {
    fn from(content: Vec<u8>) -> Self {
        Self::bytes(content)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?} {:?}", Secret::from("hunter2hunter2".to_owned()), Secret::from(vec![1, 2])), "Secret(..) Secret(..)");
    }

    #[test]
    fn the_buffer_is_taken_over() {
        let text = "hunter2hunter2".to_owned();
        let place = text.as_ptr();
        let secret = Secret::text(text);
        assert_eq!(secret.expose().as_ptr(), place);
        assert_eq!((secret.expose_text(), secret.is_text()), (Some("hunter2hunter2"), true));
        assert_eq!(Secret::bytes(vec![0xff]).expose_text(), None);
    }
}
