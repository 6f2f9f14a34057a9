//! Randomness as a trait, so that a simulation can replace it.

/// Where keys, nonces, ids and passwords come from.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Panics
    /// The real source panics if the kernel gives no randomness: nothing safe can be done then.
    fn fill(&self, bytes: &mut [u8]);
}

/// The kernel's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel gives randomness");
    }
}
