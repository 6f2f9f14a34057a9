//! Work on secrets that a plugin cannot see. A secret is a token: two tokens are equal where the values are.

use serde_json::Value;

use crate::{failure::Failure, wire};

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A random password of 16 to 1024 characters of the alphabet; none means letters and digits.
    Password {
        /// Characters.
        length: u32,
        /// The characters to choose from.
        alphabet: Option<String>,
    },
    /// ECDSA on P-256 (FIPS 186-5).
    P256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// Something generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The secret; a private key is PKCS#8 PEM.
    pub secret: String,
    /// The public key as SPKI PEM, for a key pair.
    pub public: Option<String>,
}

/// Forms a secret text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// `NAME=value` lines.
    Dotenv,
    /// RFC 7468; parsed to a list of `{label, content}`.
    Pem,
    /// RFC 4648 section 4.
    Base64,
    /// RFC 4648 section 8, lower case.
    Hex,
    /// Rendering only: a list of strings, joined.
    Concat,
}

/// A certificate's public facts. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// RFC 4514 text.
    pub subject: String,
    /// RFC 4514 text.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Start of validity.
    pub not_before: u64,
    /// End of validity.
    pub not_after: u64,
    /// DNS names, IP addresses and URIs.
    pub names: Vec<String>,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
}

/// Whether a document's leaf is a secret's token.
pub fn is_token(leaf: &Value) -> bool {
    leaf.as_str().is_some_and(|text| text.starts_with("sealed:v1:"))
}

/// Makes a secret and stores it before returning. The same label in the same change gives the same secret again.
pub fn generate(label: &str, kind: &Kind) -> Result<Generated, Failure> {
    wire::generate(label, kind)
}

/// Takes a sealed text apart: a document with a token for each scalar.
pub fn parse(token: &str, form: Form) -> Result<Value, Failure> {
    wire::parse(token, form)
}

/// Puts a document with tokens together as one sealed text.
pub fn render(document: &Value, form: Form) -> Result<String, Failure> {
    wire::render(document, form)
}

/// Signs a message with a sealed private key: base64url, in JOSE form (RFC 7518 section 3.4) for P-256.
pub fn sign(key: &str, message: &[u8]) -> Result<String, Failure> {
    wire::sign(key, message)
}

/// A certificate signing request (RFC 2986) in PEM for a sealed private key and these names.
pub fn csr(key: &str, names: &[String]) -> Result<String, Failure> {
    wire::csr(key, names)
}

/// What a certificate says, read from its PEM text (a token or plain).
pub fn certificate_facts(certificate: &str) -> Result<CertificateFacts, Failure> {
    wire::certificate_facts(certificate)
}

/// The claims of a sealed JSON Web Token (RFC 7519), not verified, without `jti` and `nonce`.
pub fn claims(token: &str) -> Result<Value, Failure> {
    wire::claims(token)
}
