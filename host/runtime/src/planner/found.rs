//! The changes of a step that others are about, kept small while a plan is made.

use std::collections::HashMap;

use cutover_engine::{ChangeBody, ChangeId};

/// A body as its JSON text: a fourth of what it takes as a value with all its strings.
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    fn of(body: &ChangeBody) -> Self {
        Self(serde_json::to_vec(body).expect("a change body has string keys only").into_boxed_slice())
    }

    /// The body.
    pub(super) fn body(&self) -> ChangeBody {
        serde_json::from_slice(&self.0).expect("it was made of a body")
    }
}

/// The changes found so far. A change about copies of several pages comes once from each; its links add up.
#[derive(Default)]
pub(super) struct Found {
    bodies: Vec<Packed>,
    by_id: HashMap<ChangeId, usize>,
}

impl Found {
    /// Adds a change, or the links of one that is there already and otherwise the same.
    pub(super) fn add(&mut self, body: &ChangeBody) {
        if let Some(index) = self.by_id.get(&body.id) {
            let known = &mut self.bodies[*index];
            let mut all = known.body();
            let alike = ChangeBody { links: all.links.clone(), ..body.clone() } == all;
            if alike && all.links != body.links {
                let links = body.links.iter().filter(|link| !all.links.contains(link)).cloned().collect::<Vec<_>>();
                all.links.extend(links);
                *known = Packed::of(&all);
                return;
            }
        }
        self.by_id.insert(body.id.clone(), self.bodies.len());
        self.bodies.push(Packed::of(body));
    }

    /// All of them, in the order in which they were found.
    pub(super) fn packed(&self) -> impl Iterator<Item = &Packed> {
        self.bodies.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(id: &str, links: &[&str], summary: &str) -> ChangeBody {
        let body = json!({
            "id": id,
            "subject": [{ "role": "old", "path": id }],
            "links": links,
            "action": "remove",
            "summary": summary,
            "instruction": { "versions": [1, 2.50], "big": 18_446_744_073_709_551_615_u64 },
            "losses": [{ "code": "renumbered", "count": 1, "detail": "" }],
            "by_hand": "vault kv undelete",
        });
        serde_json::from_value(body).expect("a body")
    }

    #[test]
    fn bodies_come_out_as_they_went_in_and_links_add_up() {
        let mut found = Found::default();
        for body in [body("a", &["one"], "x"), body("b", &[], "x"), body("a", &["one", "two"], "x"), body("b", &[], "x")] {
            found.add(&body);
        }
        // What comes again without further links is a mistake of the plugin: the plan names it.
        let wanted = [body("a", &["one", "two"], "x"), body("b", &[], "x"), body("b", &[], "x")];
        assert_eq!(found.packed().map(Packed::body).collect::<Vec<_>>(), wanted);
        found.add(&body("a", &["three"], "y"));
        assert_eq!(found.packed().count(), 4, "one that differs is another change, and no link of the first");
    }
}
