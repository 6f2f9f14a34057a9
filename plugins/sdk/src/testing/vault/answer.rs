//! What the servers answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    super::{
        folder::{decode, status},
        number,
    },
    Fate, Keys, Vault,
    stored::{Config, Stored},
};
use crate::{
    failure::Failure,
    request::{Body, Request, Response},
};

impl Vault {
    pub(super) fn answer(&mut self, role: &str, request: &Request) -> Result<Response, Failure> {
        let path = decode(&request.path)?;
        let line = format!("{} {role}:{path}", request.method);
        self.requests.push(line.clone());
        if let Some((_, code)) = self.broken.iter().find(|(beginning, _)| line.starts_with(beginning)) {
            return Ok(status(*code));
        }
        let Some(path) = path.strip_prefix("v1/") else { return self.folder.answer(role, request) };
        if matches!(request.method.as_str(), "GET" | "LIST") {
            let mut response = self.read(role, path, request);
            response.headers.extend(self.date.iter().map(|date| ("date".to_owned(), date.clone())));
            return Ok(response);
        }
        self.now += 1;
        self.writes += 1;
        let mut unanswered = false;
        while let Some(index) = self.fates.iter().position(|(at, _)| *at + 1 == self.writes) {
            match self.fates.remove(index).map(|(_, fate)| fate) {
                Some(Fate::Preceded(act)) => act(self),
                Some(Fate::Unanswered) => unanswered = true,
                Some(Fate::Lost) => return Err(Failure::unavailable("the request was lost")),
                Some(Fate::Ignored) => return Ok(status(204)),
                None => {}
            }
        }
        let answer = self.write(role, path, request)?;
        if unanswered { Err(Failure::unavailable("the answer was lost")) } else { Ok(answer) }
    }

    fn mount(&self, role: &str, path: &str) -> Option<String> {
        let owned = self.mounts.keys().filter(|(owner, mount)| owner == role && (path == mount || path.starts_with(&format!("{mount}/"))));
        owned.map(|(_, mount)| mount.clone()).max_by_key(String::len)
    }

    fn read(&mut self, role: &str, path: &str, request: &Request) -> Response {
        if let Some(asked) = path.strip_prefix("sys/internal/ui/mounts/") {
            let Some(mount) = self.mount(role, asked) else { return status(403) };
            let options = if matches!(self.keys(role, &mount), Keys::V2(..)) { json!({ "version": "2" }) } else { json!({}) };
            return shown(json!({ "type": "kv", "options": options, "path": format!("{mount}/") }));
        }
        if let Some(name) = path.strip_prefix("sys/policies/acl") {
            return self.told_of_policies(role, name.trim_start_matches('/'));
        }
        let Some(mount) = self.mount(role, path) else { return status(404) };
        let rest = path[mount.len()..].trim_start_matches('/').to_owned();
        let now = self.now;
        let numbers = !self.unnumbered.contains(role);
        let list = request.method == "LIST";
        match self.keys(role, &mount) {
            Keys::V1(keys) if list => listed(keys.keys(), &rest),
            Keys::V1(keys) => {
                let Some(document) = keys.get(&rest).cloned() else { return status(404) };
                let sealed = self.folder.seal(&document);
                Response { headers: number::header(&document).into_iter().collect(), ..shown(sealed) }
            }
            Keys::V2(config, keys) => {
                let config = *config;
                let (infix, key) = rest.split_once('/').unwrap_or((&rest, ""));
                match infix {
                    "config" if key.is_empty() => shown(config.facts(numbers)),
                    "metadata" if list => listed(keys.keys(), key),
                    "metadata" => keys.get(key).map_or_else(|| status(404), |stored| shown(stored.metadata(numbers))),
                    "data" => {
                        let number = request.query.iter().find(|(name, _)| name == "version").and_then(|(_, number)| number.parse().ok());
                        let stored = keys.get(key).cloned();
                        stored.map_or_else(|| status(404), |stored| self.version(&stored, number.unwrap_or(0), now))
                    }
                    _ => status(404),
                }
            }
        }
    }

    /// The list of policies, or what the host tells of one.
    fn told_of_policies(&self, role: &str, name: &str) -> Response {
        let of_role = self.policies.iter().filter(|((owner, _), _)| owner == role);
        if name.is_empty() {
            let names: Vec<&String> = of_role.map(|((_, name), _)| name).collect();
            return shown(json!({ "keys": names }));
        }
        match self.policies.get(&(role.to_owned(), name.to_owned())) {
            Some(told) => Response { status: 200, headers: vec![("cutover-policy-constraints".to_owned(), told.to_string())], body: None },
            None => status(404),
        }
    }

    fn version(&mut self, stored: &Stored, number: u64, now: u64) -> Response {
        let number = if number == 0 { stored.current } else { number };
        let Some(revision) = stored.versions.get(&number) else { return status(404) };
        let mut facts = revision.facts();
        facts["version"] = number.into();
        let Some(document) = stored.live(number, now) else {
            return Response { status: 404, ..shown(json!({ "data": null, "metadata": facts })) };
        };
        let sealed = self.folder.seal(&number::rounded(document));
        let mut response = shown(json!({ "data": sealed, "metadata": facts }));
        response.headers.extend(number::header(document));
        response
    }

    pub(super) fn write(&mut self, role: &str, path: &str, request: &Request) -> Result<Response, Failure> {
        let Some(mount) = self.mount(role, path) else { return Ok(status(404)) };
        let rest = path[mount.len()..].trim_start_matches('/').to_owned();
        let body = match &request.body {
            Some(Body::Json(body)) => body.clone(),
            _ => Value::Null,
        };
        let delete = request.method == "DELETE";
        let versioned = matches!(self.keys(role, &mount), Keys::V2(..));
        let (infix, key) = if versioned { rest.split_once('/').unwrap_or((&rest, "")) } else { ("", rest.as_str()) };
        if key.is_empty() || key.ends_with('/') {
            return Ok(status(400));
        }
        let document = match (versioned, infix) {
            _ if delete => Value::Null,
            (false, _) => self.folder.unseal(&body)?,
            (true, "data") => self.folder.unseal(&body["data"])?,
            _ => Value::Null,
        };
        let now = self.now;
        let (config, keys) = match self.keys(role, &mount) {
            Keys::V1(keys) if delete => {
                keys.remove(key);
                return Ok(status(204));
            }
            Keys::V1(_) if document.as_object().is_none_or(Map::is_empty) => return Ok(status(400)),
            Keys::V1(keys) => {
                keys.insert(key.to_owned(), document);
                return Ok(status(204));
            }
            Keys::V2(config, keys) => (*config, keys),
        };
        let numbers: Vec<u64> = body["versions"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let stored = keys.get_mut(key);
        match (infix, stored) {
            ("data", _) if !delete => {
                if !document.is_object() && !document.is_null() {
                    return Ok(status(400));
                }
                let cas = body["options"]["cas"].as_u64();
                if !taken(keys, key, |stored| stored.write(document, cas, config, now)) {
                    return Ok(status(400));
                }
                return Ok(shown(json!({ "version": keys[key].current })));
            }
            ("metadata", _) if delete => drop(keys.remove(key)),
            ("metadata", _) => return Ok(status(if taken(keys, key, |stored| stored.set(&body)) { 204 } else { 400 })),
            ("delete", Some(stored)) => stored.delete(&numbers, now),
            ("undelete", Some(stored)) => stored.undelete(&numbers, config, now),
            ("destroy", Some(stored)) => stored.destroy(&numbers),
            // Success, though there is nothing.
            ("delete" | "undelete" | "destroy", None) => {}
            _ => return Ok(status(405)),
        }
        Ok(status(204))
    }
}

/// Changes a key that need not be there; a refusal makes none.
fn taken(keys: &mut BTreeMap<String, Stored>, key: &str, change: impl FnOnce(&mut Stored) -> bool) -> bool {
    let stored = keys.entry(key.to_owned()).or_default();
    let taken = change(stored);
    if !taken && *stored == Stored::default() {
        keys.remove(key);
    }
    taken
}

impl Config {
    fn facts(self, numbers: bool) -> Value {
        let mut facts = json!({
            "max_versions": self.max_versions,
            "cas_required": self.cas_required,
            "delete_version_after": format!("{}s", self.delete_after),
        });
        if numbers {
            facts["metadata_cas_required"] = false.into();
        }
        facts
    }
}

fn shown(data: impl Into<Value>) -> Response {
    let data: Value = data.into();
    Response { status: 200, headers: Vec::new(), body: Some(json!({ "data": data })) }
}

/// Direct children; folders end in a slash. Nothing there is 404.
fn listed<'k>(keys: impl Iterator<Item = &'k String>, folder: &str) -> Response {
    let folder = if folder.is_empty() || folder.ends_with('/') { folder.to_owned() } else { format!("{folder}/") };
    let below = keys.filter_map(|path| path.strip_prefix(&folder));
    let names: BTreeSet<&str> = below.map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash])).collect();
    if names.is_empty() { status(404) } else { shown(json!({ "keys": names })) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_version_answers_404_with_metadata_and_a_missing_key_without() {
        let server = Vault::new().v2("store", "kv", 0, 0).install();
        server.put("store", "kv", "a", json!({"x": "1"}));
        let delete = |path: &str| Request::put(path).json(json!({ "versions": [1, 9] })).send("store").map(|response| response.status);
        assert_eq!((delete("v1/kv/delete/a"), delete("v1/kv/destroy/nothing")), (Ok(204), Ok(204)));
        let read = |path: &str| Request::get(path).query("version", "1").send("store").expect("a response");
        let deleted = read("v1/kv/data/a");
        assert_eq!((deleted.status, &deleted.body.expect("a body")["data"]["metadata"]["version"]), (404, &json!(1)));
        let missing = read("v1/kv/data/b");
        assert_eq!((missing.status, missing.body), (404, None));
    }

    #[test]
    fn a_write_names_the_version_it_replaces() {
        let server = Vault::new().v2("store", "kv", 2, 0).install();
        let token = server.token(&json!("s3cret"));
        let write = |cas: u64| {
            let body = json!({ "options": { "cas": cas }, "data": { "x": token } });
            Request::put("v1/kv/data/a").json(body).send("store").expect("a response").status
        };
        assert_eq!([0, 0, 1, 2].map(write), [200, 400, 200, 200]);
        let kept: Vec<u64> = server.get("store", "kv", "a").expect("a key").versions.keys().copied().collect();
        assert_eq!(kept, [2, 3]);
    }
}
