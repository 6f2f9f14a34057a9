//! What a KV v2 mount holds, and whether a copy of it is right: read and judged without any code of the product.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::plain_http::{PlainHttp, escaped, over_connections};

/// How many connections read at once.
const READERS: usize = 8;

/// A version as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum KvVersion {
    /// It can be read: its document with the digits of its numbers, and when it will be deleted (RFC 3339, empty: never).
    Live {
        /// The document.
        data: Value,
        /// When the server deletes it.
        until: String,
    },
    /// Soft-deleted.
    Deleted,
    /// Destroyed.
    Destroyed,
}

/// A key as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KvKey {
    /// The number of the newest version; 0 if there never was one.
    pub current: u64,
    /// By number; those that the server dropped are missing.
    pub versions: BTreeMap<u64, KvVersion>,
    /// `max_versions`, `cas_required`, `delete_version_after`, `custom_metadata`.
    pub settings: [Value; 4],
}

/// All keys of a mount, by path.
pub type KvDump = BTreeMap<String, KvKey>;

/// Reads a whole mount as root.
///
/// # Panics
/// If a request is refused.
#[must_use]
pub fn dump(url: &str, token: &str, mount: &str) -> KvDump {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while !folders.is_empty() {
        let found = over_connections(url, token, READERS, &folders, |client, folder| list(client, mount, folder));
        let (inner, keys): (Vec<String>, Vec<String>) = found.into_iter().flatten().partition(|name| name.ends_with('/'));
        paths.extend(keys);
        folders = inner;
    }
    let keys = over_connections(url, token, READERS, &paths, |client, path| read(client, mount, path));
    paths.into_iter().zip(keys).collect()
}

/// In what a numbered copy differs from its source beyond the losses that are inherent to one: nothing, if it is right.
///
/// A version that could not be read at the source is destroyed (or dropped) at the target. A scheduled deletion keeps the
/// time that it had left, give or take `minutes`.
#[must_use]
pub fn differences(source: &KvDump, target: &KvDump, minutes: i64) -> Vec<String> {
    let paths: BTreeSet<&String> = source.keys().chain(target.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        match (source.get(path), target.get(path)) {
            (Some(from), Some(to)) => differences.extend(from.differences(to, minutes).into_iter().map(|what| format!("{path}: {what}"))),
            (Some(_), None) => differences.push(format!("{path}: is not at the target")),
            (None, _) => differences.push(format!("{path}: is not at the source")),
        }
    }
    differences
}

impl KvKey {
    fn differences(&self, to: &Self, minutes: i64) -> Vec<String> {
        let mut differences = Vec::new();
        if self.current != to.current {
            differences.push(format!("{} versions became {}", self.current, to.current));
        }
        if self.settings != to.settings {
            differences.push(format!("settings {:?} became {:?}", self.settings, to.settings));
        }
        for number in 1..=self.current.max(to.current) {
            let same = match (self.versions.get(&number), to.versions.get(&number)) {
                (Some(KvVersion::Live { data, until }), Some(KvVersion::Live { data: copied, until: copied_until })) => {
                    data == copied && same_time(until, copied_until, minutes)
                }
                (Some(KvVersion::Live { .. }), _) => false,
                (_, there) => matches!(there, None | Some(KvVersion::Destroyed)),
            };
            if !same {
                let text = |key: &Self| key.versions.get(&number).map(KvVersion::word);
                differences.push(format!("version {number}: {:?} became {:?}", text(self), text(to)));
            }
        }
        differences
    }
}

impl KvVersion {
    fn word(&self) -> String {
        match self {
            Self::Live { data, until } => format!("live until `{until}`: {data}"),
            Self::Deleted => "deleted".to_owned(),
            Self::Destroyed => "destroyed".to_owned(),
        }
    }
}

fn list(client: &mut PlainHttp, mount: &str, folder: &str) -> Vec<String> {
    let answer = client.ask("LIST", &format!("/v1/{mount}/metadata/{}", escaped(folder)), &Value::Null);
    if answer.status == 404 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "LIST {folder}");
    let names = answer.body["data"]["keys"].as_array().cloned().unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(|name| format!("{folder}{name}")).collect()
}

fn read(client: &mut PlainHttp, mount: &str, path: &str) -> KvKey {
    let path = escaped(path);
    let answer = client.ask("GET", &format!("/v1/{mount}/metadata/{path}"), &Value::Null);
    assert_eq!(answer.status, 200, "metadata of {path}");
    let metadata = &answer.body["data"];
    let mut versions = BTreeMap::new();
    for number in metadata["versions"].as_object().into_iter().flatten().map(|(number, _)| number) {
        let answer = client.ask("GET", &format!("/v1/{mount}/data/{path}?version={number}"), &Value::Null);
        let facts = &answer.body["data"]["metadata"];
        let version = match answer.status {
            200 => KvVersion::Live {
                data: answer.body["data"]["data"].clone(),
                until: facts["deletion_time"].as_str().unwrap_or_default().to_owned(),
            },
            404 if facts["destroyed"] == true => KvVersion::Destroyed,
            404 if facts.is_object() => KvVersion::Deleted,
            status => panic!("version {number} of {path}: status {status}"),
        };
        versions.insert(number.parse().expect("a number"), version);
    }
    let settings = ["max_versions", "cas_required", "delete_version_after", "custom_metadata"].map(|name| metadata[name].clone());
    KvKey { current: metadata["current_version"].as_u64().expect("a number"), versions, settings }
}

fn same_time(one: &str, other: &str, minutes: i64) -> bool {
    if one.is_empty() || other.is_empty() {
        return one == other;
    }
    (minute(one) - minute(other)).abs() <= minutes
}

/// The minute of an RFC 3339 time in UTC, counted as if each month had 31 days: good for times that are close together.
fn minute(time: &str) -> i64 {
    let part = |from: usize, to: usize| time.get(from..to).and_then(|part| part.parse::<i64>().ok()).expect("an RFC 3339 time");
    (((part(0, 4) * 12 + part(5, 7)) * 31 + part(8, 10)) * 24 + part(11, 13)) * 60 + part(14, 16)
}
