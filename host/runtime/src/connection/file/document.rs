//! What a file's name says of its content: the form, and whether it is encrypted with age.

use std::io::{Read as _, Write as _};

use age::{
    Decryptor, Encryptor, Identity, Recipient,
    armor::{ArmoredReader, ArmoredWriter, Format as Armor},
    x25519,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::folder::MAX_BYTES;
use crate::{codec, hook::Form, secret::Secret};

/// A file's content by its name: `app.env` is dotenv, `app.env.age` the same encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// None for a name that says nothing: such a file is only read and written as a whole.
    pub(super) form: Option<Form>,
    /// The form of its text, also where something was put behind the name that said it, as in `app.env.retired`.
    pub(super) held: Option<Form>,
    /// Whether the file is encrypted.
    pub(super) encrypted: bool,
}

impl Format {
    /// The format of a file of this name.
    pub(super) fn of(name: &str) -> Self {
        let (name, encrypted) = name.strip_suffix(".age").map_or((name, false), |name| (name, true));
        let form = Form::of_path(name);
        let held = form.or_else(|| name.rsplit_once('.').and_then(|(before, _)| Form::of_path(before)));
        Self { form, held, encrypted }
    }

    /// The document in plain content; none if the form is not known or the content not of that form.
    pub(super) fn parse(self, plain: &[u8]) -> Option<Value> {
        codec::parse(self.form?, std::str::from_utf8(plain).ok()?).ok()
    }
}

/// The age keys of a connection (X25519 only).
#[derive(Default)]
pub(super) struct Keys {
    identities: Vec<x25519::Identity>,
    recipients: Vec<x25519::Recipient>,
}

impl Keys {
    /// From the text of an identity file, as `age-keygen` writes it, and `age1…` recipients. Without recipients new
    /// content is encrypted to the identities themselves.
    pub(super) fn new(identity: Option<&Secret>, recipients: &[String]) -> Result<Self, String> {
        let text = identity.map_or(Some(""), Secret::expose_text).ok_or("`identity` is no text")?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        // The parser's own error is dropped: it could quote the line.
        let identities: Vec<x25519::Identity> =
            lines.map(|line| line.parse().map_err(|_| "`identity` has a line that is no age X25519 identity")).collect::<Result<_, _>>()?;
        let mut parsed = Vec::new();
        for recipient in recipients {
            parsed.push(recipient.parse().map_err(|_| format!("`{recipient}` is no age X25519 recipient"))?);
        }
        if parsed.is_empty() {
            parsed = identities.iter().map(x25519::Identity::to_public).collect();
        }
        Ok(Self { identities, recipients: parsed })
    }

    /// The content behind age's binary or armored form.
    pub(super) fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        if self.identities.is_empty() {
            return Err("the connection has no `identity`");
        }
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(cipher)).map_err(|_| "it is no age file")?;
        let identities = self.identities.iter().map(|identity| identity as &dyn Identity);
        let reader = decryptor.decrypt(identities).map_err(|_| "it is not encrypted to the connection's `identity`")?;
        let mut plain = Zeroizing::new(Vec::with_capacity(cipher.len()));
        reader.take(MAX_BYTES).read_to_end(&mut plain).map_err(|_| "its content is damaged")?;
        Ok(plain)
    }

    /// Encrypted content, armored if what it replaces was.
    pub(super) fn encrypt(&self, plain: &[u8], armored: bool) -> Result<Vec<u8>, &'static str> {
        let recipients = self.recipients.iter().map(|recipient| recipient as &dyn Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|_| "the connection has no `recipients` and no `identity`")?;
        let failed = "it could not be encrypted";
        let armor = if armored { Armor::AsciiArmor } else { Armor::Binary };
        let output = ArmoredWriter::wrap_output(Vec::new(), armor).map_err(|_| failed)?;
        let mut writer = encryptor.wrap_output(output).map_err(|_| failed)?;
        writer.write_all(plain).map_err(|_| failed)?;
        writer.finish().and_then(ArmoredWriter::finish).map_err(|_| failed)
    }
}

/// Whether content is in age's armored form.
pub(super) fn is_armored(cipher: &[u8]) -> bool {
    cipher.trim_ascii_start().starts_with(b"-----BEGIN AGE")
}
