//! The closed list of losses of KV copies, and what a copy loses.

use cutover_plugin::{Change, Loss, LossCode};

use super::{
    history::{History, Version},
    mount::Kind,
    origin::{CopiedKv, Numbering},
    settings::Limits,
    wanted::{Slot, Wanted, is_empty},
};

/// Every code that a change of a KV operation can have.
pub(crate) fn codes() -> Vec<LossCode> {
    let expires = |code: LossCode| code.residue("/versions/*/expires").residue("/target/versions/*/expires");
    let advances =
        |code: LossCode| ["/current", "/versions", "/target/current", "/target/versions"].into_iter().fold(code, LossCode::residue);
    vec![
        LossCode::inherent("version-times", "the target's versions have the times at which they were written there"),
        expires(LossCode::inherent("deletion-times", "versions have other deletion times than they had, or none")),
        LossCode::material("deleted-version-data", "soft-deleted versions are not copied: their numbers are destroyed at the target"),
        LossCode::inherent("destroyed-version-data", "destroyed versions have no data to copy"),
        LossCode::inherent("pruned-versions", "versions that the source has dropped cannot be copied"),
        LossCode::material("renumbered", "versions have other numbers at the target"),
        LossCode::material("number-precision", "numbers came from the source with other digits than were once written"),
        LossCode::inherent("lease-hint", "`ttl` and `lease` of a v1 secret give no lease duration in v2"),
        LossCode::material("policy-constraints", "policies limit parameters of a v1 secret, or how it is wrapped: v2 takes no such rules"),
        LossCode::material("policies-unread", "the source's policies may not be read: whether they limit parameters is not known"),
        LossCode::material("not-addressable", "names that no request can address are left out"),
        LossCode::material("mount-expiry", "the target's mount deletes versions earlier than the source does"),
        LossCode::material("metadata-cas", "the target's server has no rule by which writes of metadata must name what they replace"),
        LossCode::inherent("settings-kept", "a merged key keeps its own settings: those of the source are not taken over"),
        LossCode::inherent(
            "limit-raised",
            "a merged key keeps more versions than it did, so that none is dropped: `max_versions` stays raised",
        ),
        advances(LossCode::inherent(
            "rollback-advances",
            "a merged key goes back by a new version with the old value: its numbers advance",
        )),
        LossCode::material("older-versions", "a v1 target holds the current version only"),
        LossCode::material("key-metadata", "a v1 target holds no custom metadata, limits or deletion times"),
        LossCode::material("empty-document", "a v1 target takes no empty document: the secret is left out"),
        LossCode::material("destroyed-at-source", "the source's versions and metadata are removed for good"),
    ]
}

/// What a copy loses.
pub(crate) fn of_copy(copied: &CopiedKv, source: &History, wanted: &Wanted) -> Vec<Loss> {
    let mut losses = Ledger(Vec::new());
    let versioned = copied.origin.is_versioned();
    let inexact = if versioned { count(source.inexact.len()) } else { 0 };
    losses.add("number-precision", inexact, "numbers beyond 2^53 or of a form that a 64-bit float does not hold");
    if copied.kind == Kind::V1 {
        let dropped = source.versions.len().saturating_sub(usize::from(source.latest().is_some()));
        losses.add("older-versions", count(dropped), "versions that are not the current one, or cannot be read");
        let plain = source.settings.custom.is_empty() && source.settings.limits.in_force() == Limits::default();
        losses.add("key-metadata", u64::from(versioned && !plain), "custom metadata or limits of the key");
        losses.add("empty-document", u64::from(source.latest().is_some_and(is_empty)), "the current version is empty");
        losses.add("version-times", u64::from(versioned && source.latest().is_some()), "the time of the current version");
        return losses.0;
    }
    let of_state = |wanted: fn(&Version) -> bool| count(source.versions.values().filter(|version| wanted(version)).count());
    if versioned {
        let written = wanted.slots.values().filter(|slot| !slot.is_bare()).count();
        losses.add("version-times", count(written), "creation times of versions");
        let scheduled = of_state(|version| matches!(version, Version::Live { deletion: Some(_), .. }));
        let recovered = count(copied.recover.len());
        losses.add(
            "deletion-times",
            scheduled + recovered,
            "scheduled deletions are counted again; recovered ones get a new time on both sides",
        );
        let deleted = of_state(Version::is_deleted);
        losses.add(
            "deleted-version-data",
            deleted.saturating_sub(recovered),
            "soft-deleted versions: `recover_deleted = true` copies them",
        );
        losses.add("destroyed-version-data", of_state(|version| *version == Version::Destroyed), "destroyed versions");
        losses.add("pruned-versions", source.pruned(), "versions older than the oldest that is kept");
        losses.add("renumbered", renumbered(copied, source), "versions with another number at the target");
    } else if copied.origin.key().is_some() {
        let hints = source.latest().map_or(0, |value| ["ttl", "lease"].iter().filter(|name| value.get(name).is_some()).count());
        losses.add("lease-hint", count(hints), "fields that gave readers a lease duration");
    }
    losses.add(
        "mount-expiry",
        mount_expiry(copied, source, wanted),
        "versions that the target's mount deletes by its `delete_version_after`",
    );
    let guarded = [&source.settings.limits, &copied.from_limits].iter().any(|limits| limits.metadata_cas == Some(true));
    losses.add("metadata-cas", u64::from(guarded && copied.to_limits.metadata_cas.is_none()), "`metadata_cas_required`");
    if let Some(base) = &copied.base {
        let other = source.settings.custom != base.settings.custom || source.settings.limits.in_force() != base.settings.limits.in_force();
        losses.add("settings-kept", u64::from(versioned && other), "custom metadata and limits of the source");
        losses.add("limit-raised", u64::from(base.raised), "`max_versions` of the target's key");
        losses.add("rollback-advances", 1, "a rollback writes the old value as the newest version");
    }
    losses.0
}

/// Losses of a change, added to it.
pub(crate) fn add(change: Change, losses: Vec<Loss>) -> Change {
    losses.into_iter().fold(change, Change::loss)
}

struct Ledger(Vec<Loss>);

impl Ledger {
    fn add(&mut self, code: &str, items: u64, detail: &str) {
        if items > 0 {
            let count = u32::try_from(items).unwrap_or(u32::MAX);
            self.0.push(Loss { count, ..Loss::new(code, detail) });
        }
    }
}

/// Versions that the target's mount will delete, though they would stay, or stay longer, at the source.
fn mount_expiry(copied: &CopiedKv, source: &History, wanted: &Wanted) -> u64 {
    let there = Limits::default().deletes_after(&copied.to_limits);
    let here = source.settings.limits.deletes_after(&copied.from_limits);
    if there == 0 {
        return 0;
    }
    let sooner = |slot: &&Slot| match slot {
        Slot::Value { deletion: None, .. } => true,
        Slot::Value { .. } => here == 0 || there < here,
        _ => false,
    };
    count(wanted.slots.values().filter(sooner).count()).max(u64::from(here == 0 || there < here))
}

fn renumbered(copied: &CopiedKv, source: &History) -> u64 {
    if copied.numbering == Numbering::Numbered {
        return 0;
    }
    let with_data = source.versions.iter().filter(|(_, version)| **version != Version::Destroyed);
    let with_data = with_data.filter(|(number, version)| !version.is_deleted() || copied.recover.contains(number));
    count(with_data.zip(copied.base() + 1..).filter(|((number, _), at)| **number != *at).count())
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
