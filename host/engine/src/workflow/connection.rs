//! The backends of a workflow: `[connections]`. Each is the only way to its own authority.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    reader::{Fields, Reader},
    source::{self, Source},
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed, listed},
    name::is_identifier,
    pointer::Pointer,
    timestamp::Span,
};

/// One entry of `[connections]`.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where its name is.
    pub place: Place,
    /// What it is and what its kind needs.
    pub kind: ConnectionKind,
}

/// The kinds that can be used.
#[derive(Debug, Clone)]
pub enum ConnectionKind {
    /// Any HTTP service.
    Http(HttpConnection),
    /// A folder.
    File(FileConnection),
    /// Vault or OpenBao.
    Vault(VaultConnection),
}

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// To one place: a URL or a path.
    One(String),
    /// To a set of members listed in a CSV file with the columns `name` and `url` or `path`.
    MembersFile(String),
    /// To a set of members: name → URL or path.
    Members(BTreeMap<String, String>),
}

/// `kind = "http"`.
#[derive(Debug, Clone)]
pub struct HttpConnection {
    /// `url` or `members`.
    pub address: Address,
    /// How it logs in, if it does.
    pub login: Option<HttpLogin>,
    /// A CA to trust besides or instead of the system's, as PEM.
    pub ca: Option<Source>,
    /// Plain http beyond loopback is wanted.
    pub insecure: bool,
    /// A unix socket to connect to instead of the URL's host.
    pub socket: Option<String>,
    /// Requests that only read although their method is not GET or HEAD, such as `POST /search`.
    pub reads: Vec<Placed<ReadRoute>>,
    /// Places of response bodies that are no secrets.
    pub public: Vec<Pointer>,
    /// Most requests per second.
    pub rate: Option<u32>,
    /// Longest wait for one response.
    pub timeout: Option<Span>,
}

/// How an `http` connection logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpLogin {
    /// RFC 6750.
    Bearer(Source),
    /// RFC 7617.
    Basic {
        /// The user's name.
        username: Source,
        /// The password.
        password: Source,
    },
    /// A TLS client certificate and its key, as PEM.
    Certificate {
        /// The chain, leaf first.
        certificate: Source,
        /// The private key.
        key: Source,
    },
}

/// A request that the operator declares to be a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRoute {
    /// In capitals.
    pub method: String,
    /// A path template as in manifests.
    pub path: String,
}

/// `kind = "file"`.
#[derive(Debug, Clone)]
pub struct FileConnection {
    /// `path` of a folder, or `members`.
    pub address: Address,
    /// The age identity that decrypts files.
    pub identity: Option<Source>,
    /// The age recipients that written files are encrypted to; none means as the file was.
    pub recipients: Vec<Recipient>,
}

/// Whom a file is encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// An age public key (`age1…`).
    Key(String),
    /// A file of them.
    File(String),
}

/// `kind = "vault"`.
#[derive(Debug, Clone)]
pub struct VaultConnection {
    /// `url` or `members`.
    pub address: Address,
    /// The namespace, without slashes at its ends.
    pub namespace: Option<String>,
    /// Other nodes of the same cluster, to which a standby may send its callers.
    pub standbys: Vec<String>,
    /// How it logs in.
    pub login: VaultLogin,
    /// A CA to trust, as PEM.
    pub ca: Option<Source>,
    /// Plain http beyond loopback is wanted.
    pub insecure: bool,
}

/// How a `vault` connection logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultLogin {
    /// With a token.
    Token(Source),
    /// With an `AppRole`.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role's id.
        role_id: Source,
        /// The secret id.
        secret_id: Source,
    },
    /// With a JWT.
    Jwt {
        /// Where the method is mounted.
        mount: String,
        /// The role's name.
        role: String,
        /// The JWT.
        token: Source,
    },
}

impl Connection {
    /// As `kind` says it.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            ConnectionKind::Http(_) => "http",
            ConnectionKind::File(_) => "file",
            ConnectionKind::Vault(_) => "vault",
        }
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        match &self.kind {
            ConnectionKind::Http(http) => &http.address,
            ConnectionKind::File(file) => &file.address,
            ConnectionKind::Vault(vault) => &vault.address,
        }
    }

    /// Whether it is a set with members.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !matches!(self.address(), Address::One(_))
    }

    /// Whether both lead to the same place and differ at most in their credentials.
    #[must_use]
    pub fn same_authority(&self, other: &Self) -> bool {
        let namespace = |connection: &Self| match &connection.kind {
            ConnectionKind::Vault(vault) => vault.namespace.clone().unwrap_or_default(),
            ConnectionKind::Http(http) => http.socket.clone().unwrap_or_default(),
            ConnectionKind::File(_) => String::new(),
        };
        let place = |connection: &Self| match connection.address() {
            Address::One(url) if connection.kind_name() != "file" => Address::One(authority(url).unwrap_or_else(|_| url.clone())),
            address => address.clone(),
        };
        self.kind_name() == other.kind_name() && namespace(self) == namespace(other) && place(self) == place(other)
    }
}

/// Scheme, host in lower case and port of a URL, as `https://host:443`.
///
/// # Errors
/// Which rule of CUT0315 the text breaks.
pub fn authority(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("a URL begins with `https://` or `http://`")?;
    let default_port = match scheme {
        "https" => 443_u16,
        "http" => 80,
        _ => return Err("a URL begins with `https://` or `http://`".to_owned()),
    };
    if url.contains(['?', '#']) || url.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
        return Err("a connection's URL has no query, fragment, blank, backslash or other sign outside ASCII".to_owned());
    }
    let host_port = rest.split('/').next().unwrap_or_default();
    if host_port.contains('@') {
        return Err("a connection's URL has no user or password".to_owned());
    }
    let bracket = host_port.rfind(']');
    let (host, port) = match host_port.rfind(':').filter(|colon| bracket.is_none_or(|bracket| bracket < *colon)) {
        Some(colon) => (&host_port[..colon], host_port[colon + 1..].parse().map_err(|_| "the port is no number".to_owned())?),
        None => (host_port, default_port),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_v6 =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    if host.is_empty() || !(is_v6 || host.chars().all(allowed)) {
        return Err("the host is not valid; write names outside ASCII in their `xn--` form".to_owned());
    }
    Ok(format!("{scheme}://{}:{port}", host.trim_end_matches('.').to_ascii_lowercase()))
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host);
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

const RESERVED: [&str; 5] = ["tls", "command", "line", "acme", "aws"];
const KINDS: [&str; 3] = ["http", "file", "vault"];

/// Reads one entry of `[connections]`.
pub(super) fn read(reader: &mut Reader<'_>, name: &Placed<String>, value: &Spanned<DeValue<'_>>) -> Option<Connection> {
    if let Err(rule) = is_identifier(&name.value) {
        reader.error("CUT0108", name.place, format!("`{}` is no connection name: {rule}", name.value.escape_debug()));
    }
    let mut fields = reader.fields(&name.value, value, "a connection")?;
    fields.require(reader, "kind");
    let kind = fields.text(reader, "kind")?;
    let kind = match kind.value.as_str() {
        "http" => read_http(&mut fields, reader).map(ConnectionKind::Http),
        "file" => read_file(&mut fields, reader).map(ConnectionKind::File),
        "vault" => read_vault(&mut fields, reader).map(ConnectionKind::Vault),
        reserved if RESERVED.contains(&reserved) => {
            let problem = Diagnostic::error("CUT0109", kind.place(), format!("connections of kind `{reserved}` are not yet supported"));
            reader.report(problem.help(format!("there is {}", listed(&KINDS))));
            return None;
        }
        unknown => {
            let problem = Diagnostic::error("CUT0107", kind.place(), format!("`{}` is no kind of connection", unknown.escape_debug()));
            reader.report(problem.suggest(unknown, KINDS));
            return None;
        }
    };
    fields.finish(reader);
    kind.map(|kind| Connection { place: name.place, kind })
}

fn read_http(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<HttpConnection> {
    let insecure = fields.boolean(reader, "insecure");
    let socket = fields.string(reader, "socket");
    let address = read_address(fields, reader, "url", insecure || socket.is_some());
    let login = read_http_login(fields, reader);
    let reads = fields.strings(reader, "reads").unwrap_or_default();
    let connection = HttpConnection {
        login,
        ca: source::read(fields, reader, "ca"),
        insecure,
        socket: socket.map(|socket| socket.value),
        reads: reads.into_iter().filter_map(|text| read_route(reader, &text)).collect(),
        public: fields.pointers(reader, "public"),
        rate: fields.integer(reader, "rate", 1..=10_000).map(|rate| rate.value),
        timeout: fields.positive_span(reader, "timeout").map(|span| span.value),
        address: address?,
    };
    Some(connection)
}

fn read_http_login(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<HttpLogin> {
    exclusive(fields, reader, &[&["token"], &["username", "password"], &["client_cert", "client_key"]]);
    let token = source::read(fields, reader, "token");
    let basic = source::read(fields, reader, "username").zip(source::read(fields, reader, "password"));
    let certificate = source::read(fields, reader, "client_cert").zip(source::read(fields, reader, "client_key"));
    token
        .map(HttpLogin::Bearer)
        .or_else(|| basic.map(|(username, password)| HttpLogin::Basic { username, password }))
        .or_else(|| certificate.map(|(certificate, key)| HttpLogin::Certificate { certificate, key }))
}

/// At most one of the groups of keys, and that one whole.
fn exclusive(fields: &Fields<'_>, reader: &mut Reader<'_>, groups: &[&[&'static str]]) {
    let used: Vec<_> = groups.iter().filter(|group| group.iter().any(|key| fields.has(key))).collect();
    for group in &used {
        for missing in group.iter().filter(|key| !fields.has(key)) {
            let present = group.iter().find(|key| fields.has(key)).copied().unwrap_or_default();
            reader.error("CUT0316", fields.key_place(present), format!("`{present}` needs `{missing}` beside it"));
        }
    }
    if let [first, second, ..] = used.as_slice() {
        let key = second.iter().find(|key| fields.has(key)).copied().unwrap_or_default();
        reader.error(
            "CUT0316",
            fields.key_place(key),
            format!("a connection logs in one way: with {} or {}", listed(first), listed(second)),
        );
    }
}

fn read_file(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<FileConnection> {
    let address = read_address(fields, reader, "path", true);
    let identity = source::read(fields, reader, "identity");
    let recipients = fields.list(reader, "recipients").unwrap_or_default();
    let recipients = recipients.iter().filter_map(|item| {
        let text = reader.text("recipients", item)?;
        let file = text.value.strip_prefix("file:").map(|path| Recipient::File(path.to_owned()));
        let found = file.or_else(|| text.value.starts_with("age1").then(|| Recipient::Key(text.value.clone())));
        if found.is_none() {
            // A private key pasted here must not be repeated.
            reader.report(
                Diagnostic::error("CUT0107", text.place(), "a recipient is an age public key (`age1...`) or `file:PATH`").concealed(),
            );
        }
        found
    });
    let recipients = recipients.collect();
    Some(FileConnection { address: address?, identity, recipients })
}

fn read_vault(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<VaultConnection> {
    let insecure = fields.boolean(reader, "insecure");
    let address = read_address(fields, reader, "url", insecure);
    let namespace = fields.string(reader, "namespace").map(|text| text.value.trim_matches('/').to_owned());
    let ca = source::read(fields, reader, "ca");
    let standbys = fields.strings(reader, "standbys").unwrap_or_default();
    let standbys = standbys.into_iter().filter(|url| check_member(reader, "standbys", url, insecure)).map(|url| url.value).collect();
    exclusive(fields, reader, &[&["token"], &["approle"], &["jwt"]]);
    if !["token", "approle", "jwt"].iter().any(|key| fields.has(key)) {
        reader.error("CUT0106", fields.place, "a vault connection needs `token`, `approle` or `jwt`");
    }
    let token = source::read(fields, reader, "token").map(VaultLogin::Token);
    let approle = fields.table(reader, "approle", "`approle`").and_then(|mut approle| {
        approle.require(reader, "role_id");
        approle.require(reader, "secret_id");
        let mount = approle.string(reader, "mount").map_or_else(|| "approle".to_owned(), |text| text.value);
        let ids = source::read(&mut approle, reader, "role_id").zip(source::read(&mut approle, reader, "secret_id"));
        approle.finish(reader);
        ids.map(|(role_id, secret_id)| VaultLogin::AppRole { mount, role_id, secret_id })
    });
    let jwt = fields.table(reader, "jwt", "`jwt`").and_then(|mut jwt| {
        jwt.require(reader, "role");
        jwt.require(reader, "token");
        let mount = jwt.string(reader, "mount").map_or_else(|| "jwt".to_owned(), |text| text.value);
        let parts = jwt.string(reader, "role").zip(source::read(&mut jwt, reader, "token"));
        jwt.finish(reader);
        parts.map(|(role, token)| VaultLogin::Jwt { mount, role: role.value, token })
    });
    Some(VaultConnection { address: address?, namespace, standbys, login: token.or(approle).or(jwt)?, ca, insecure })
}

/// `url` or `path`, or `members`.
fn read_address(fields: &mut Fields<'_>, reader: &mut Reader<'_>, key: &'static str, plain: bool) -> Option<Address> {
    let one = fields.string(reader, key);
    let members = fields.take("members");
    if let (Some(_), true) = (&one, fields.has("members")) {
        reader.error("CUT0111", fields.key_place("members"), format!("a connection has either `{key}` or `members`"));
    }
    if !fields.has(key) && !fields.has("members") {
        reader.error("CUT0106", fields.place, format!("a connection of this kind needs `{key}` or `members`"));
    }
    if let Some(one) = one {
        return check_member(reader, key, &one, plain).then_some(Address::One(one.value));
    }
    match members?.get_ref() {
        DeValue::String(file) => Some(Address::MembersFile(file.to_string())),
        _ => {
            let entries = fields.entries(reader, "members");
            let read = entries.into_iter().filter_map(|(name, value)| {
                let member = reader.text(&name.value, value)?.placed();
                check_member(reader, key, &member, plain).then_some((name.value, member.value))
            });
            Some(Address::Members(read.collect()))
        }
    }
}

fn check_member(reader: &mut Reader<'_>, key: &str, member: &Placed<String>, plain: bool) -> bool {
    if key == "path" {
        if member.value.is_empty() {
            reader.error("CUT0107", member.place, "the path is empty");
        }
        return !member.value.is_empty();
    }
    let found = match authority(&member.value) {
        Ok(found) => found,
        Err(message) => {
            // A password may stand in it.
            let problem = Diagnostic::error("CUT0315", member.place, message);
            reader.report(if member.value.contains('@') { problem.concealed() } else { problem });
            return false;
        }
    };
    if found.starts_with("http://") && !plain && !is_loopback(&found) {
        let problem = Diagnostic::error("CUT0314", member.place, "plain http reaches loopback only");
        reader.report(problem.help("use `https://`, or write `insecure = true` beside it"));
    }
    true
}

fn read_route(reader: &mut Reader<'_>, text: &Placed<String>) -> Option<Placed<ReadRoute>> {
    let route = text.value.split_once(' ').filter(|(method, path)| {
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/') && !path.contains(' ')
    });
    if route.is_none() {
        reader.error("CUT0107", text.place, "a read is a method in capitals and a path, such as `POST /search`");
    }
    route.map(|(method, path)| Placed { value: ReadRoute { method: method.to_owned(), path: path.to_owned() }, place: text.place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_exact() {
        assert_eq!(authority("https://Vault.corp./v1"), Ok("https://vault.corp:443".into()));
        assert_eq!(authority("http://[::1]:8200"), Ok("http://[::1]:8200".into()));
        for wrong in [
            "vault.corp",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?x",
            "https://ä",
            "https://a:b",
            "https://[::1",
            "https://a b",
            "https://a\\@b",
        ] {
            assert!(authority(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_no_prefix() {
        assert!(is_loopback("http://127.0.0.1:80") && is_loopback("http://[::1]:80") && is_loopback("http://localhost:1"));
        assert!(!is_loopback("http://127.0.0.1.evil.org:80") && !is_loopback("http://localhost.evil.org:80"));
    }
}
