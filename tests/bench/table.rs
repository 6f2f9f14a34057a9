//! What is printed: a table that goes into ARCHITECTURE.md as it is.

use std::time::Duration;

/// One measurement.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out.
    pub(crate) measured: String,
    /// What it is held against.
    pub(crate) against: String,
    /// The ratio, or the value in the target's unit.
    pub(crate) result: f64,
    /// At most so much.
    pub(crate) target: f64,
    /// Of both.
    pub(crate) unit: &'static str,
}

impl Row {
    /// Prints the head of the table.
    pub(crate) fn print_head() {
        println!("| Measurement | Measured | Against | Result | Target | |");
        println!("|---|---|---|---|---|---|");
    }

    /// Prints a line of the table.
    pub(crate) fn print(&self) {
        let Self { what, measured, against, result, target, unit } = self;
        let met = if result <= target { "met" } else { "missed" };
        println!("| {what} | {measured} | {against} | {result:.2} {unit} | {target} {unit} | {met} |");
    }
}

/// The middle one of several results.
pub(crate) fn median<T: PartialOrd + Copy>(mut results: Vec<T>) -> T {
    results.sort_by(|one, other| one.partial_cmp(other).expect("results are numbers"));
    results[results.len() / 2]
}

/// Milliseconds with one digit.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
