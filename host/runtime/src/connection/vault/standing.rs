//! What state a server is in, by the status of `sys/health`.

/// What is wrong with a server whose health check answers this; nothing if it works or passes requests on.
///
/// Vault: 200 active, 429 standby, 472 secondary for disaster recovery, 473 performance standby, 474 standby without its
/// active node, 501 not initialised, 503 sealed, 530 removed. `OpenBao` has 200, 429, 501 and 503. A 429 is no rate limit here.
pub(super) fn problem(status: u16) -> Option<String> {
    let state = match status {
        200..=299 | 429 | 473 => return None,
        472 => "is a secondary for disaster recovery",
        474 => "is a standby that cannot reach the active node",
        501 => "is not initialised",
        503 => "is sealed",
        530 => "was removed from its cluster",
        other => return Some(format!("answers its health check with {other}")),
    };
    Some(state.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_no_problem_and_sealed_is_said() {
        for status in [200, 204, 429, 473] {
            assert_eq!(problem(status), None);
        }
        for (status, word) in
            [(472, "disaster"), (474, "cannot reach"), (501, "not initialised"), (503, "sealed"), (530, "removed"), (500, "500")]
        {
            assert!(problem(status).is_some_and(|text| text.contains(word)), "{status}");
        }
    }
}
