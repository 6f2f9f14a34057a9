//! What there is to copy: the list of a source, cut into portions that are planned side by side.

use std::ops::ControlFlow;

use cutover_plugin::{Failure, Page};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    SOURCE,
    constraint::Constraints,
    copy::{Cursor, Input, NAMED, listed},
    key::Key,
    mount::Mount,
    offer::Sides,
    walk::{Met, Walk, skips},
};

/// Secrets of a portion: enough for a call to be worth its while, few enough for many calls at once.
const SECRETS: usize = 20;

/// Bytes of a portion's names.
const NAME_BYTES: usize = 8 * 1024;

/// The longest cursor that the host takes, in bytes.
const CURSOR_BYTES: usize = 16 * 1024;

/// Bytes of what a portion that is still too long with a single key says of policies; the rest is counted.
const CONSTRAINT_BYTES: usize = 4 * 1024;

/// Bytes of a name that no request can address, as far as it is told.
const MISSED_BYTES: usize = 256;

/// Bytes of all portions of one page, after which it ends. The host takes pages of 4 MiB.
const PAGE_BYTES: usize = 1024 * 1024;

/// Unreadable names that a refusal gives; it counts the others.
const REFUSED: usize = 20;

/// Lists after which a page ends, with room below what the host allows one call for the folders above its last key.
const LISTS: u32 = 600;

/// Secrets that one page plans, with all that this takes: it asks for no list and no mount again.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portion {
    pub(crate) sides: Sides,
    /// Paths of keys, or of files.
    pub(crate) names: Vec<String>,
    /// Names among them that no request can address: a change of the portion tells them.
    #[serde(default, skip_serializing_if = "Missed::is_empty")]
    pub(crate) missed: Missed,
    /// What the policies of a v1 source whose target is v2 say of these keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) constraints: Option<Constraints>,
}

/// Names that no request can address.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Missed {
    pub(crate) count: u32,
    first: Vec<String>,
}

impl Missed {
    pub(crate) fn add(&mut self, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < NAMED {
            self.first.push(name[..name.floor_char_boundary(MISSED_BYTES)].to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first names, and how many more there are; for people.
    pub(crate) fn told(&self) -> String {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        listed(&self.first, count)
    }

    /// That there is no change that could tell them.
    pub(crate) fn refusal(&self) -> Failure {
        let text = self.told();
        Failure::unsupported(format!(
            "names that cannot be addressed, and no secret beside them whose copy could tell of it: {text}; name them in `skip` to leave them out"
        ))
    }
}

/// The page that lists what comes after this path and names a page for each portion of it, and for the rest of the list.
pub(super) fn plan(input: &Input, sides: &Sides, after: &str) -> Result<Page, Failure> {
    let constraints = if sides.loses_constraints() { Some(Constraints::read()?) } else { None };
    let mut listing = Listing { sides, constraints: constraints.as_ref(), portions: Vec::new(), bytes: 0, last: None, open: None };
    let more = match &sides.source {
        Some(mount) => listing.keys(input, mount, after)?,
        None => listing.files(input, after)?,
    };
    listing.close()?;
    let rest = more.then(|| Cursor::List { after: listing.last.unwrap_or_default() }.text());
    Ok(Page::default().followed_by(listing.portions).followed_by(rest))
}

/// A list that is being cut.
struct Listing<'l> {
    sides: &'l Sides,
    constraints: Option<&'l Constraints>,
    /// Cursors.
    portions: Vec<String>,
    bytes: usize,
    /// The last path that was met.
    last: Option<String>,
    /// The last portion, to which more may be added.
    open: Option<Open>,
}

#[derive(Default)]
struct Open {
    names: Vec<String>,
    bytes: usize,
    missed: Missed,
}

impl Listing<'_> {
    /// Whether the list goes on behind this page.
    fn keys(&mut self, input: &Input, mount: &Mount, after: &str) -> Result<bool, Failure> {
        let infix = if mount.is_versioned() { "metadata" } else { "" };
        let (mut unreadable, mut more) = (Vec::new(), false);
        let mut walk = Walk { role: SOURCE, mount: &mount.name, infix, prefix: &input.prefix, skip: &input.skip, after, requests: 0 };
        walk.go(&mut |met, lists| {
            match met {
                // A page ends where a key follows, so that names without a change of their own find one.
                Met::Key(_) if self.is_full(lists) => {
                    more = true;
                    return Ok(ControlFlow::Break(()));
                }
                Met::Key(path) => self.add(path)?,
                Met::NotAddressable(path) => self.miss(path),
                // Nothing would be left beside it.
                Met::Unreadable(path) if input.prefix.starts_with(path) => return Err(not_listable(mount, infix, path)),
                Met::Unreadable(path) => unreadable.push(path.to_owned()),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if unreadable.is_empty() { Ok(more) } else { Err(refused(&unreadable)) }
    }

    fn files(&mut self, input: &Input, after: &str) -> Result<bool, Failure> {
        let mut more = false;
        crate::walk::walk(SOURCE, &input.prefix, after, &mut |file, _| {
            if file == after || skips(&input.skip, file) {
                return Ok(ControlFlow::Continue(()));
            }
            if self.is_full(0) {
                more = true;
                return Ok(ControlFlow::Break(()));
            }
            self.add(file)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(more)
    }

    fn is_full(&self, lists: u32) -> bool {
        let has_key = self.open.as_ref().is_some_and(|open| !open.names.is_empty()) || !self.portions.is_empty();
        self.bytes >= PAGE_BYTES || (lists >= LISTS && has_key)
    }

    fn add(&mut self, name: &str) -> Result<(), Failure> {
        // As it stands in the cursor: control characters take six bytes.
        let bytes = json!(name).to_string().len();
        let full = |open: &Open| open.names.len() >= SECRETS || (!open.names.is_empty() && open.bytes + bytes > NAME_BYTES);
        if self.open.as_ref().is_some_and(full) {
            self.close()?;
        }
        let open = self.open.get_or_insert_default();
        open.names.push(name.to_owned());
        open.bytes += bytes;
        self.last = Some(name.to_owned());
        Ok(())
    }

    fn miss(&mut self, name: &str) {
        self.open.get_or_insert_default().missed.add(name);
        self.last = Some(name.to_owned());
    }

    /// Ends the last portion.
    fn close(&mut self) -> Result<(), Failure> {
        let Some(Open { names, missed, .. }) = self.open.take() else { return Ok(()) };
        if names.is_empty() {
            return Err(missed.refusal());
        }
        self.cut(names, missed);
        Ok(())
    }

    /// Adds the portion of these names, or several where policies say so much of them that one cursor cannot hold it.
    fn cut(&mut self, mut names: Vec<String>, missed: Missed) {
        let constraints = self.constraints.zip(self.sides.source.as_ref()).map(|(constraints, mount)| {
            let keys: Vec<Key> = names.iter().map(|name| Key::new(&mount.name, name)).collect();
            constraints.of(&keys)
        });
        let portion = |names, constraints| Portion { sides: self.sides.clone(), names, missed: missed.clone(), constraints };
        let mut text = Cursor::Secrets(portion(names.clone(), constraints.clone())).text();
        if text.len() > CURSOR_BYTES && names.len() > 1 {
            let rest = names.split_off(names.len() / 2);
            self.cut(names, missed);
            return self.cut(rest, Missed::default());
        }
        if text.len() > CURSOR_BYTES {
            let told = constraints.map(|constraints| constraints.within(CONSTRAINT_BYTES));
            text = Cursor::Secrets(portion(names, told)).text();
        }
        self.bytes += text.len();
        self.portions.push(text);
    }
}

/// What may not be read is never taken for empty. Folders end in `/`.
pub(super) fn refused(unreadable: &[String]) -> Failure {
    let quoted: Vec<String> = unreadable.iter().map(|path| json!(path).to_string()).collect();
    let named = quoted.iter().take(REFUSED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match quoted.len().saturating_sub(REFUSED) {
        0 => String::new(),
        more => format!(" and {more} more here"),
    };
    Failure::denied(format!(
        "{SOURCE} has secrets that this token may not read: {named}{more}; let it read them, or leave out whatever begins with one of \
         these: skip = [{named}]"
    ))
}

/// The folder that all secrets of the step are in may not be listed.
fn not_listable(mount: &Mount, infix: &str, folder: &str) -> Failure {
    let path = format!("{}/{infix}{}{folder}", mount.name, if infix.is_empty() { "" } else { "/" });
    Failure::denied(format!("{SOURCE} may not be listed: the token needs the capability `list` on {}", json!(path)))
}
