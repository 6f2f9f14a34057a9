//! Going through the keys of a mount, in byte order of their paths, from any of them on.

use std::ops::ControlFlow;

use cutover_plugin::{Failure, Request};
use serde_json::Value;

use super::key::addressable;

/// What is met on the way.
pub(crate) enum Met<'a> {
    /// A key's path.
    Key(&'a str),
    /// A path whose list or whose name cannot be asked for.
    NotAddressable(&'a str),
    /// A folder that may not be listed.
    Unreadable(&'a str),
}

/// A walk through one mount.
pub(crate) struct Walk<'w> {
    pub(crate) role: &'w str,
    pub(crate) mount: &'w str,
    /// `metadata` for v2, empty for v1.
    pub(crate) infix: &'static str,
    pub(crate) prefix: &'w str,
    /// Paths that begin with one of them are left out.
    pub(crate) skip: &'w [String],
    /// What is met begins after this path.
    pub(crate) after: &'w str,
    /// Requests so far.
    pub(crate) requests: u32,
}

impl Walk<'_> {
    /// Visits everything whose path begins with the prefix, until a visit breaks.
    pub(crate) fn go(&mut self, visit: &mut impl FnMut(Met, u32) -> Result<ControlFlow<()>, Failure>) -> Result<(), Failure> {
        let start = self.prefix.rfind('/').map_or("", |slash| &self.prefix[..=slash]);
        self.descend(start, visit).map(drop)
    }

    fn descend(
        &mut self,
        folder: &str,
        visit: &mut impl FnMut(Met, u32) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<ControlFlow<()>, Failure> {
        let names = match self.list(folder)? {
            Listed::Names(names) => names,
            Listed::Denied => return visit(Met::Unreadable(folder), self.requests),
            // It was told where the walk was broken off before.
            Listed::Refused if folder <= self.after => return Ok(ControlFlow::Continue(())),
            Listed::Refused => return visit(Met::NotAddressable(folder), self.requests),
        };
        for name in names {
            let path = format!("{folder}{name}");
            let flow = if !path.starts_with(self.prefix) || skips(self.skip, &path) {
                continue;
            } else if !addressable(&name) {
                if path.as_str() <= self.after {
                    continue;
                }
                visit(Met::NotAddressable(&path), self.requests)?
            } else if path.ends_with('/') {
                // Everything in a folder before `after` is before it too.
                if path.as_str() <= self.after && !self.after.starts_with(&path) {
                    continue;
                }
                self.descend(&path, visit)?
            } else if path.as_str() <= self.after {
                continue;
            } else {
                visit(Met::Key(&path), self.requests)?
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The names in a folder in byte order. An empty folder is none for the server.
    fn list(&mut self, folder: &str) -> Result<Listed, Failure> {
        self.requests += 1;
        let infix = if self.infix.is_empty() { String::new() } else { format!("{}/", self.infix) };
        let response = Request::list(&format!("v1/{}/{infix}{folder}", self.mount)).send(self.role)?;
        let what = format!("list {}:{}/{folder}", self.role, self.mount);
        match response.status {
            // Of the mount itself that is no matter of names.
            400 if !folder.is_empty() => return Ok(Listed::Refused),
            403 => return Ok(Listed::Denied),
            404 => return Ok(Listed::Names(Vec::new())),
            _ => {}
        }
        let body = response.expect_success(&what)?.body.unwrap_or_default();
        let names = body["data"]["keys"].as_array().ok_or_else(|| Failure::internal(format!("{what}: no `keys` in the answer")))?;
        let mut names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(Listed::Names(names))
    }
}

/// What a server says of a folder.
enum Listed {
    Names(Vec<String>),
    /// It may not be listed.
    Denied,
    /// Its name is one that the server takes nowhere.
    Refused,
}

/// Whether a path is left out: it begins with one of these.
pub(crate) fn skips(skip: &[String], path: &str) -> bool {
    skip.iter().any(|prefix| path.starts_with(prefix.as_str()))
}
