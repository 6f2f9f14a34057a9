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
        let Some(names) = self.list(folder)? else { return visit(Met::Unreadable(folder), self.requests) };
        for name in names {
            let path = format!("{folder}{name}");
            let flow = if !(path.starts_with(self.prefix) || self.prefix.starts_with(&path) && path.ends_with('/')) || self.skips(&path) {
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

    /// The names in a folder in byte order; none if it may not be listed. An empty folder is none for the server.
    fn list(&mut self, folder: &str) -> Result<Option<Vec<String>>, Failure> {
        self.requests += 1;
        let infix = if self.infix.is_empty() { String::new() } else { format!("{}/", self.infix) };
        let response = Request::list(&format!("v1/{}/{infix}{folder}", self.mount)).send(self.role)?;
        let what = format!("list {}:{}/{folder}", self.role, self.mount);
        match response.status {
            403 => return Ok(None),
            404 => return Ok(Some(Vec::new())),
            _ => {}
        }
        let body = response.expect_success(&what)?.body.unwrap_or_default();
        let names = body["data"]["keys"].as_array().ok_or_else(|| Failure::internal(format!("{what}: no `keys` in the answer")))?;
        let mut names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(Some(names))
    }

    fn skips(&self, path: &str) -> bool {
        self.skip.iter().any(|prefix| path.starts_with(prefix.as_str()))
    }
}
