//! How a step's changes are exposed: in cohorts, some at a time.

use super::reader::{Fields, Reader};
use crate::{
    diagnostic::{Diagnostic, Placed},
    plan::Cohort,
};

/// `rollout = { … }` of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Each holds the ones before it; the last is everything.
    pub cohorts: Vec<Cohort>,
    /// Most changes at once, 1 to 256.
    pub parallel: u32,
    /// How many changes may fail before the step does.
    pub max_failed: Quota,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { cohorts: vec![Cohort::Percent(100)], parallel: 8, max_failed: Quota::Count(0) }
    }
}

/// A number of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded down.
    Percent(u32),
}

impl Quota {
    /// The number for a step with `total` changes.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total.saturating_mul(percent as usize) / 100,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, mut fields: Fields<'_>) -> Rollout {
    let default = Rollout::default();
    fields.reserve(reader, "outer");
    let cohorts = fields.strings(reader, "cohorts").map(|texts| read_cohorts(reader, &fields, texts));
    let parallel = fields.integer(reader, "parallel", 1..=256).map_or(default.parallel, |parallel| parallel.value);
    let max_failed = read_quota(reader, &mut fields).unwrap_or(default.max_failed);
    fields.finish(reader);
    Rollout { cohorts: cohorts.filter(|cohorts| !cohorts.is_empty()).unwrap_or(default.cohorts), parallel, max_failed }
}

fn read_quota(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Quota> {
    let value = fields.take("max_failed")?;
    if !matches!(value.get_ref(), toml::de::DeValue::String(_)) {
        return fields.integer(reader, "max_failed", 0..=1_000_000).map(|count| Quota::Count(count.value));
    }
    let text = reader.text("max_failed", value)?;
    let percent = text.value.strip_suffix('%').and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100);
    if percent.is_none() {
        reader.error("CUT0107", text.place(), "`max_failed` is a number or a percentage such as `\"5%\"`");
    }
    percent.map(Quota::Percent)
}

fn read_cohorts(reader: &mut Reader<'_>, fields: &Fields<'_>, texts: Vec<Placed<String>>) -> Vec<Cohort> {
    let whole = fields.key_place("cohorts");
    if texts.is_empty() {
        reader.error("CUT0107", whole, "there is no cohort");
    }
    let mut cohorts: Vec<Cohort> = Vec::new();
    let count = texts.len();
    for (index, text) in texts.into_iter().enumerate() {
        let Some(cohort) = Cohort::parse(&text.value) else {
            reader.error("CUT0107", text.place, "a cohort is a count such as `\"1\"`, a percentage such as `\"10%\"`, or `\"group:NAME\"`");
            continue;
        };
        let shrinks = match &cohort {
            Cohort::Count(next) => {
                cohorts.iter().any(|before| matches!(before, Cohort::Count(last) if last >= next) || matches!(before, Cohort::Percent(_)))
            }
            Cohort::Percent(next) => cohorts.iter().any(|before| matches!(before, Cohort::Percent(last) if last >= next)),
            Cohort::Group(_) => cohorts.contains(&cohort),
        };
        if shrinks {
            let problem = Diagnostic::error("CUT0306", text.place, format!("the cohort `{cohort}` is no larger than the ones before it"));
            reader.report(problem.help("write counts first, then percentages, each larger than the last"));
        }
        if index + 1 == count && cohort != Cohort::Percent(100) {
            let problem = Diagnostic::error("CUT0307", text.place, format!("after the last cohort `{cohort}` changes would be left out"));
            reader.report(problem.help("add `\"100%\"` at the end"));
        }
        cohorts.push(cohort);
    }
    cohorts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_exceed_the_whole_and_never_vanish() {
        assert_eq!(Quota::Percent(5).of(19), 0);
        assert_eq!(Quota::Percent(5).of(20), 1);
    }

    #[test]
    fn reads_the_three_forms() {
        assert_eq!(Cohort::parse("group:blue"), Some(Cohort::Group("blue".into())));
        for wrong in ["0", "101%", "-1", "group:", "ten", ""] {
            assert_eq!(Cohort::parse(wrong), None, "{wrong}");
        }
    }
}
