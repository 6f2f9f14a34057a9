//! The last net under everything that leaves the program: a text that holds a live secret is withheld, and the run is
//! asked to stop at the next safe point.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use cutover_engine::Plan;
use cutover_runtime::sealing::Scanner;
use tokio::sync::Notify;

use crate::error::code;

/// Looks through outgoing text. Clones share what they found; the default one knows no secrets.
#[derive(Clone, Default)]
pub struct Sieve {
    scanner: Option<Arc<Scanner>>,
    public: Arc<Public>,
    caught: Arc<AtomicBool>,
    /// The run goes back: nothing holds that up.
    goes_back: Arc<AtomicBool>,
    news: Arc<Notify>,
}

/// What everybody may read who sees the run.
#[derive(Default)]
struct Public {
    /// The workflow's text.
    source: String,
    plan: OnceLock<Arc<Plan>>,
}

impl Sieve {
    /// Knows the secrets of a run, and the text of its workflow, which is none.
    #[must_use]
    pub fn new(scanner: Arc<Scanner>, source: &str) -> Self {
        let public = Public { source: source.to_owned(), ..Public::default() };
        Self { scanner: Some(scanner), public: Arc::new(public), ..Self::default() }
    }

    /// What the plan mentions is no secret.
    pub fn publish(&self, plan: &Arc<Plan>) {
        let _ = self.public.plan.set(plan.clone());
    }

    /// From now on what is withheld does not stop the run.
    pub fn goes_back(&self) {
        self.goes_back.store(true, Ordering::Release);
    }

    /// Whether a secret stands in `text`; then it must not leave.
    pub fn catches(&self, text: &str) -> bool {
        let hit = self.scanner.as_ref().is_some_and(|scanner| scanner.hit_in_line(text.as_bytes(), |text| self.public.has(text)));
        if hit {
            self.caught.store(true, Ordering::Release);
            self.news.notify_one();
        }
        hit
    }

    /// The text with each line that holds a secret replaced.
    #[must_use]
    pub fn strain<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.catches(text) {
            return Cow::Borrowed(text);
        }
        let lines: String = text
            .split_inclusive('\n')
            .map(|line| if self.catches(line) { Cow::Owned(format!("{}\n", Self::withheld())) } else { Cow::Borrowed(line) })
            .collect();
        // A secret over several lines is in none of them alone.
        if self.catches(&lines) { Cow::Owned(format!("{}\n", Self::withheld())) } else { Cow::Owned(lines) }
    }

    /// What stands in place of a withheld line.
    #[must_use]
    pub fn withheld() -> String {
        format!("error[{}]: a line was withheld because it held a secret", code::LEAK)
    }

    /// Whether anything was withheld.
    #[must_use]
    pub fn has_caught(&self) -> bool {
        self.caught.load(Ordering::Acquire)
    }

    /// Ends once something was withheld.
    pub async fn caught(&self) {
        loop {
            self.news.notified().await;
            if !self.goes_back.load(Ordering::Acquire) {
                return;
            }
        }
    }
}

impl Public {
    fn has(&self, text: &str) -> bool {
        self.source.contains(text) || self.plan.get().is_some_and(|plan| plan.mentions(text))
    }
}

#[cfg(test)]
mod tests {
    use cutover_runtime::sealing::SealingKey;

    use super::*;

    #[tokio::test]
    async fn a_line_with_a_secret_is_withheld_and_told() {
        let key = SealingKey::deterministic();
        key.scanner().watch(b"correct horse battery staple");
        let sieve = Sieve::new(key.scanner().clone(), "");
        assert_eq!(sieve.strain("all is well\n"), "all is well\n");
        assert!(!sieve.has_caught());
        let strained = sieve.strain("first\nsays correct horse battery staple\nlast\n").into_owned();
        assert_eq!(strained, "first\nerror[CUT6043]: a line was withheld because it held a secret\nlast\n");
        assert!(sieve.has_caught());
        sieve.caught().await;
    }

    #[tokio::test]
    async fn a_secret_that_is_a_name_of_the_workflow_or_a_word_holds_nothing_back() {
        let key = SealingKey::deterministic();
        for secret in ["payments-to-openbao", "completed"] {
            key.scanner().watch(secret.as_bytes());
        }
        let sieve = Sieve::new(key.scanner().clone(), "name = \"payments-to-openbao\"");
        let line = "COMPLETED run of payments-to-openbao: completed\n";
        assert_eq!(sieve.strain(line), line);
        assert!(!sieve.has_caught());
    }

    #[test]
    fn a_sieve_without_a_run_lets_everything_through() {
        assert_eq!(Sieve::default().strain("correct horse"), "correct horse");
    }
}
