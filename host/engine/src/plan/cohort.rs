//! How a step's changes are exposed, part by part.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of a step's changes that is exposed up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cohort {
    /// That many changes in all.
    Count(u32),
    /// That share of the step's changes in all, rounded up.
    Percent(u32),
    /// The changes of one group, besides those exposed before.
    Group(String),
}

impl Cohort {
    /// Reads `1`, `10%` or `group:NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(group) = text.strip_prefix("group:") {
            return (!group.is_empty()).then(|| Self::Group(group.to_owned()));
        }
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        let count: u32 = digits.parse().ok().filter(|count| *count > 0)?;
        match percent {
            true => (count <= 100).then_some(Self::Percent(count)),
            false => Some(Self::Count(count)),
        }
    }

    /// The cohort of each change, from 0. Changes that no cohort takes belong to the last.
    ///
    /// `groups` has each change's group, in plan order.
    pub(crate) fn assign(cohorts: &[Self], groups: &[Option<&str>]) -> Vec<u32> {
        let total = groups.len();
        let last = u32::try_from(cohorts.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut assigned: Vec<Option<u32>> = vec![None; total];
        for (number, cohort) in (0u32..).zip(cohorts) {
            let taken = assigned.iter().flatten().count();
            let quota = match cohort {
                Self::Count(count) => (*count as usize).saturating_sub(taken),
                Self::Percent(percent) => (total * *percent as usize).div_ceil(100).saturating_sub(taken),
                Self::Group(_) => total,
            };
            let takes = |group: &Option<&str>| match cohort {
                Self::Group(name) => *group == Some(name.as_str()),
                Self::Count(_) | Self::Percent(_) => true,
            };
            let free = assigned.iter_mut().zip(groups).filter(|(slot, group)| slot.is_none() && takes(group));
            free.take(quota).for_each(|(slot, _)| *slot = Some(number));
        }
        assigned.into_iter().map(|slot| slot.unwrap_or(last)).collect()
    }
}

impl fmt::Display for Cohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Group(group) => write!(f, "group:{group}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cumulative_and_the_rest_is_last() {
        let cohorts = [Cohort::Count(1), Cohort::Percent(50), Cohort::Percent(100)];
        assert_eq!(Cohort::assign(&cohorts, &[None; 5]), [0, 1, 1, 2, 2]);
        assert_eq!(Cohort::assign(&[], &[None; 2]), [0, 0]);
    }

    #[test]
    fn a_group_takes_its_own() {
        let cohorts = [Cohort::Group("eu".into()), Cohort::Count(2), Cohort::Percent(100)];
        assert_eq!(Cohort::assign(&cohorts, &[None, Some("eu"), None, Some("us")]), [1, 0, 2, 2]);
    }
}
