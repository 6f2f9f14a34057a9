//! One hook call's side of sealing: what responses and the functions of `sealed` mint.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cutover_engine::{Failure, Pointer};
use serde_json::Value;

use super::{
    Origin, Origins, PREFIX, Salt, Scope, code,
    entry::{Entry, Made, SealedValue},
    keypair::KeyPair,
    password, public_facts, refused,
    scope::{Place, covers},
    unusable, writes,
};
use crate::{
    codec,
    entropy::Entropy,
    hook::{CertificateFacts, Form, GenerateKind, Generated},
    secret::Secret,
};

/// At most so many ways are kept per value; fewer ways allow less.
const MAX_WAYS: usize = 64;

/// Labels that a PEM block can show. Any other could be a secret around which a plugin joined the dashes.
const PUBLIC_LABELS: [&str; 10] = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "EC PARAMETERS",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PRIVATE KEY",
    "TRUSTED CERTIFICATE",
    "X509 CRL",
];

/// The sealing side of one hook call; see [`Scope::begin_call`].
pub struct Call {
    scope: Arc<Scope>,
    /// Tokens of responses of this call, and what was parsed or rendered out of nothing else.
    minted: Mutex<HashSet<String>>,
}

/// The places of a response that a plugin may see.
#[derive(Clone, Copy, Default)]
pub struct Shown<'p> {
    /// Public places that a manifest or a workflow names.
    pub public: &'p [Pointer],
    /// Public places that the connection's kind names. It knows that the server fills them, or shows there what was written
    /// at the same place: so a secret that happens to equal a version number says nothing about that number.
    pub known: &'p [Pointer],
    /// Places that the workflow grants in plain: the plugin sees them, and they stay secrets for every sink.
    pub granted: &'p [Pointer],
}

impl Call {
    pub(super) fn new(scope: Arc<Scope>) -> Self {
        Self { scope, minted: Mutex::default() }
    }

    /// The change's scope.
    #[must_use]
    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Seals a response: a token for every scalar except `null` and those at public places. A public string that looks
    /// like a token is sealed, and so is a public value that this change wrote there as a token.
    #[must_use]
    pub fn seal(&self, document: Value, origin: &Origin, public: &[Pointer]) -> Value {
        self.seal_showing(document, origin, &Shown { public, ..Shown::default() })
    }

    /// The same, with more kinds of places that the plugin may see.
    #[must_use]
    pub fn seal_showing(&self, mut document: Value, origin: &Origin, shown: &Shown<'_>) -> Value {
        let wrote = self.scope.has_written_to(origin);
        self.seal_at(&mut document, &mut Vec::new(), &Reading { origin, shown, wrote });
        document
    }

    /// Seals a whole body: UTF-8 as a string, else bytes. `form` is the one that it is known to have.
    #[must_use]
    pub fn seal_opaque(&self, bytes: Vec<u8>, origin: &Origin, form: Option<Form>) -> String {
        let token = self.scope.mint_read(SealedValue::bytes(bytes), origin, "", Place::Sealed).unwrap_or_default();
        if let (Some(form), Some(entry)) = (form, self.scope.state().entries.get_mut(&token)) {
            entry.whole = Some(form.name().to_owned());
        }
        self.own(&token);
        token
    }

    /// Whether every token in a document came from responses of this call.
    #[must_use]
    pub fn only_own_tokens(&self, document: &Value) -> bool {
        let minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        Scope::tokens_of(document).iter().all(|token| minted.contains(token))
    }

    /// `sealed.generate`. What is new stands in [`Scope::entries_since`] and must be durable before the guest sees it.
    ///
    /// # Errors
    /// [`code::GENERATE`] if the request cannot be met or the label stands for something else.
    pub fn generate(&self, label: &str, kind: &GenerateKind, entropy: &dyn Entropy) -> Result<Generated, Failure> {
        let request = format!("{kind:?}");
        if let Some((known, token, public)) = self.scope.state().generated.get(label) {
            return if *known == request {
                Ok(Generated { secret: token.clone(), public: public.clone() })
            } else {
                Err(unusable(code::GENERATE, "the label already stands for something else"))
            };
        }
        let (secret, public) = match kind {
            GenerateKind::Password { length, alphabet } => (password::generate(*length, alphabet.as_deref(), entropy)?, None),
            GenerateKind::P256 => KeyPair::p256(entropy).to_pem()?,
            GenerateKind::Ed25519 => KeyPair::ed25519(entropy).to_pem()?,
        };
        let value = SealedValue::bytes(secret.expose().to_vec());
        let salt = self.scope.key.salt(&self.scope.label, &[b"generate", label.as_bytes()]);
        let entry = Entry {
            value,
            origins: [BTreeSet::new()].into(),
            salt: Some(salt),
            made: Made::No,
            parts_made: false,
            leaves: Vec::new(),
            whole: None,
        };
        let token = self.scope.mint(entry);
        let mut state = self.scope.state();
        state.generated.insert(label.to_owned(), (request.clone(), token.clone(), public.clone()));
        state.persist(std::slice::from_ref(&token));
        state.durable.push(super::SealedEntry::Generated {
            label: label.to_owned(),
            request,
            token: token.clone(),
            public: public.clone(),
        });
        Ok(Generated { secret: token, public })
    }

    /// `sealed.parse`. Keys, structure, `null` and well-known PEM labels are plain.
    ///
    /// # Errors
    /// [`code::CRAFTED`] for text that the plugin joined or rendered in another form, and for a value that would be read as text of
    /// names and values although nothing says that it is; [`code::FORM`] if it is not of that form.
    pub fn parse(&self, token: &str, form: Form) -> Result<Value, Failure> {
        let entry = self.scope.known(token)?;
        match &entry.made {
            Made::Joined | Made::Literal => return Err(refused(code::CRAFTED, "text that the plugin joined cannot be parsed")),
            Made::Rendered(rendered) if rendered != form.name() => {
                return Err(refused(code::CRAFTED, format!("text that was rendered as {rendered} cannot be parsed as {}", form.name())));
            }
            // In these nearly any text is a name with an empty value, and names are not sealed.
            Made::No if matches!(form, Form::Dotenv | Form::Yaml | Form::Toml) && entry.whole.as_deref() != Some(form.name()) => {
                let told = format!("only a file whose name says that it is {0} can be parsed as {0}", form.name());
                return Err(refused(code::CRAFTED, told));
            }
            _ => {}
        }
        let secret = text_of(&entry)?;
        let text = secret.expose_text().unwrap_or_default();
        let is_own = self.is_own(token);
        if matches!(form, Form::Base64 | Form::Hex) {
            let bytes = codec::decode(form, text)
                .map_err(|error| unusable(code::FORM, format!("the sealed text is no {}: {}", form.name(), error.problem)))?;
            return Ok(Value::from(self.derive(&entry, SealedValue::bytes(bytes), "", is_own)));
        }
        let mut document =
            codec::parse(form, text).map_err(|error| unusable(code::FORM, format!("the sealed text cannot be read as {error}")))?;
        self.seal_parsed(&mut document, &entry, form, &mut String::new(), is_own);
        Ok(document)
    }

    /// `sealed.render`. Bytes can be rendered alone as base64 or hex. `concat` of one token makes a string of it.
    ///
    /// # Errors
    /// [`code::UNKNOWN`], [`code::MISPLACED`], [`code::WRONG_KIND`], [`code::FORM`].
    pub fn render(&self, document: &Value, form: Form) -> Result<String, Failure> {
        let mut parts = Parts::default();
        let alone = document.as_str().filter(|text| text.contains(PREFIX) && matches!(form, Form::Base64 | Form::Hex));
        let text = if let Some(token) = alone {
            let entry = self.scope.known(token)?;
            let text = codec::encode(form, entry.value.to_secret().expose());
            parts.entries.push(entry);
            parts.is_own = self.is_own(token);
            text
        } else {
            parts.is_own = true;
            let plain = self.put_in(document, &mut String::new(), &mut parts)?;
            codec::render(form, &plain).map_err(|error| unusable(code::FORM, format!("the document cannot be written as {error}")))?
        };
        let is_single = form == Form::Concat && document.as_array().is_some_and(|items| items.len() == 1);
        if let ([entry], true) = (parts.entries.as_slice(), is_single)
            && matches!(entry.value.to_json(), Some(Value::String(_)))
        {
            return Ok(document[0].as_str().unwrap_or_default().to_owned());
        }
        let is_salted = parts.literals || parts.entries.is_empty() || parts.entries.iter().any(|entry| entry.salt.is_some());
        let salt = is_salted.then(|| {
            self.scope.key.salt(&self.scope.label, &[b"render", form.name().as_bytes(), cutover_engine::canonical(document).as_bytes()])
        });
        let is_joined =
            parts.entries.iter().any(|entry| entry.made.is_free() || entry.parts_made && form == Form::Concat) || form == Form::Concat;
        let made = if is_joined { Made::Joined } else { Made::Rendered(form.name().to_owned()) };
        let leaves = if salt.is_some() && !is_joined { std::mem::take(&mut parts.leaves) } else { Vec::new() };
        let entry = Entry {
            value: SealedValue::scalar(&Value::from(text)),
            leaves,
            whole: None,
            origins: parts.origins(),
            salt,
            made,
            parts_made: parts.entries.iter().any(|entry| entry.made != Made::No || entry.parts_made),
        };
        let token = self.scope.mint(entry);
        if parts.is_own && !parts.literals && !parts.entries.is_empty() {
            self.own(&token);
        }
        Ok(token)
    }

    /// `sealed.sign`: base64url; for P-256 in JOSE form (RFC 7518 section 3.4).
    pub fn sign(&self, key: &str, message: &[u8]) -> Result<String, Failure> {
        self.key_pair(key)?.sign(message)
    }

    /// `sealed.csr`: RFC 2986 in PEM, with an empty subject and the names as subjectAltName.
    pub fn csr(&self, key: &str, names: &[String]) -> Result<String, Failure> {
        names.iter().try_for_each(|name| Scope::check_no_token(name, "a name of a signing request"))?;
        self.key_pair(key)?.csr(names)
    }

    /// `sealed.certificate-facts` of the first certificate in PEM text, sealed or plain.
    pub fn certificate_facts(&self, certificate: &str) -> Result<CertificateFacts, Failure> {
        if !certificate.contains(PREFIX) {
            return public_facts::certificate(certificate);
        }
        let entry = self.scope.known(certificate)?;
        let is_whole = entry.made == Made::No || entry.made == Made::Rendered(Form::Pem.name().to_owned()) && !entry.parts_made;
        if !is_whole {
            return Err(refused(code::CRAFTED, "text that the plugin made is no certificate"));
        }
        public_facts::certificate(text_of(&entry)?.expose_text().unwrap_or_default())
    }

    /// `sealed.claims`: of a token that was read; not verified, without `jti` and `nonce`.
    pub fn claims(&self, token: &str) -> Result<Value, Failure> {
        let entry = self.scope.known(token)?;
        if entry.made != Made::No || entry.salt.is_some() {
            return Err(refused(code::CRAFTED, "text that the plugin made has no claims"));
        }
        public_facts::claims(text_of(&entry)?.expose_text().unwrap_or_default())
    }

    fn key_pair(&self, token: &str) -> Result<KeyPair, Failure> {
        let entry = self.scope.known(token)?;
        if entry.made.is_free() || entry.parts_made {
            return Err(refused(code::CRAFTED, "text that the plugin joined is no key"));
        }
        KeyPair::from_pem(text_of(&entry)?.expose_text().unwrap_or_default())
    }

    fn seal_at<'v>(&self, value: &'v mut Value, path: &mut Vec<Cow<'v, str>>, reading: &Reading<'_>) {
        match value {
            Value::Null => {}
            Value::Object(map) => {
                for (key, value) in map {
                    path.push(Cow::Borrowed(key));
                    self.seal_at(value, path, reading);
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    path.push(Cow::Owned(index.to_string()));
                    self.seal_at(value, path, reading);
                    path.pop();
                }
            }
            scalar => self.seal_scalar(scalar, &path.iter().map(|segment| &**segment).collect::<Vec<_>>(), reading),
        }
    }

    fn seal_scalar(&self, scalar: &mut Value, path: &[&str], reading: &Reading<'_>) {
        let Reading { origin, shown, wrote } = reading;
        let looks_sealed = scalar.as_str().is_some_and(|text| text.contains(PREFIX));
        let is_granted = covers(shown.granted, path);
        let kind = match () {
            () if looks_sealed => Place::Sealed,
            () if is_granted || covers(shown.public, path) => Place::Public,
            () if covers(shown.known, path) => Place::Known,
            () => Place::Sealed,
        };
        let token = if kind == Place::Sealed || *wrote {
            self.scope.mint_read(SealedValue::scalar(scalar), origin, &writes::pointer(path), kind)
        } else {
            None
        };
        match token {
            Some(token) => {
                self.own(&token);
                *scalar = Value::from(token);
            }
            None => {
                if let Some(text) = scalar.as_str() {
                    let scanner = self.scope.key.scanner();
                    if is_granted { scanner.grant(text.as_bytes()) } else { scanner.exempt(text) }
                }
            }
        }
    }

    fn seal_parsed(&self, value: &mut Value, source: &Entry, form: Form, path: &mut String, is_own: bool) {
        let length = path.len();
        match value {
            Value::Null => {}
            Value::Object(map) => {
                for (key, value) in map {
                    let is_label =
                        form == Form::Pem && key == "label" && value.as_str().is_some_and(|label| PUBLIC_LABELS.contains(&label));
                    if !is_label {
                        path.extend(["/", &key.replace('~', "~0").replace('/', "~1")]);
                        self.seal_parsed(value, source, form, path, is_own);
                        path.truncate(length);
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    path.extend(["/", &index.to_string()]);
                    self.seal_parsed(value, source, form, path, is_own);
                    path.truncate(length);
                }
            }
            scalar => *scalar = Value::from(self.derive(source, SealedValue::scalar(scalar), path, is_own)),
        }
    }

    /// A part of a sealed text. Each place of a salted text has a salt of its own: two places never compare.
    fn derive(&self, source: &Entry, value: SealedValue, path: &str, is_own: bool) -> String {
        let derive_salt = |salt: &Salt| self.scope.key.salt(&self.scope.label, &[b"parse", salt, path.as_bytes()]);
        let made = if source.parts_made { Made::Joined } else { Made::No };
        let entry = Entry {
            value,
            origins: source.origins.clone(),
            salt: source.salt.as_ref().map(derive_salt),
            made,
            parts_made: false,
            leaves: Vec::new(),
            whole: None,
        };
        let token = self.scope.mint(entry);
        if is_own {
            self.own(&token);
        }
        token
    }

    fn put_in(&self, value: &Value, place: &mut String, parts: &mut Parts) -> Result<Value, Failure> {
        let length = place.len();
        let mut below = |segment: &str, value: &Value, parts: &mut Parts| {
            place.extend(["/", &writes::escape(segment)]);
            let value = self.put_in(value, place, parts);
            place.truncate(length);
            value
        };
        match value {
            Value::Null => Ok(Value::Null),
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| below(&index.to_string(), item, parts)).collect::<Result<_, _>>()
            }
            Value::Object(map) => {
                let put_in = |(key, item): (&String, &Value)| {
                    Scope::check_no_token(key, "an object's key")?;
                    Ok((key.clone(), below(key, item, parts)?))
                };
                map.iter().map(put_in).collect::<Result<_, _>>().map(Value::Object)
            }
            Value::String(token) if token.contains(PREFIX) => {
                let entry = self.scope.known(token)?;
                let scalar =
                    entry.value.to_json().ok_or_else(|| refused(code::WRONG_KIND, "bytes can only be rendered alone, as base64 or hex"))?;
                parts.is_own &= self.is_own(token);
                parts.entries.push(entry);
                parts.leaves.push((place.clone(), token.clone()));
                Ok(scalar)
            }
            literal => {
                parts.literals = true;
                Ok(literal.clone())
            }
        }
    }

    fn is_own(&self, token: &str) -> bool {
        self.minted.lock().unwrap_or_else(PoisonError::into_inner).contains(token)
    }

    fn own(&self, token: &str) {
        self.minted.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?})", self.scope)
    }
}

/// A response that is being sealed.
struct Reading<'r> {
    origin: &'r Origin,
    shown: &'r Shown<'r>,
    /// Whether the change wrote to where it comes from.
    wrote: bool,
}

#[derive(Default)]
struct Parts {
    entries: Vec<Entry>,
    leaves: Vec<(String, String)>,
    literals: bool,
    is_own: bool,
}

impl Parts {
    /// Every part must be allowed to go: one way of each.
    fn origins(&self) -> Origins {
        let mut ways: Origins = [BTreeSet::new()].into();
        for entry in &self.entries {
            ways = ways.iter().flat_map(|way| entry.origins.iter().map(move |other| way | other)).take(MAX_WAYS).collect();
        }
        ways
    }
}

fn text_of(entry: &Entry) -> Result<Secret, Failure> {
    match entry.value.to_json() {
        Some(Value::String(text)) => Ok(Secret::text(text)),
        _ => Err(unusable(code::WRONG_KIND, "the sealed value is no text")),
    }
}
