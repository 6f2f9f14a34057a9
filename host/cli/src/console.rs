//! Where text goes: data to stdout, chatter to stderr. Styles are taken out where they do not belong.

use std::{
    borrow::Cow,
    io::{self, ErrorKind, Write},
};

use serde::Serialize;

use crate::{
    args::{GuessedForm, Output},
    environment::Environment,
    error::{CommandError, code},
    settings::{self, Settings},
    sieve::Sieve,
};

/// The two streams of the process.
pub struct Console {
    out: Stream<io::Stdout>,
    err: Stream<io::Stderr>,
    output: Output,
    quiet: bool,
    sieve: Sieve,
}

impl Console {
    /// As the settings want it.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self::with(settings.output, settings.styles_output, settings.styles_error, settings.quiet)
    }

    /// For help, and for problems found before there are settings.
    #[must_use]
    pub fn early(form: GuessedForm, environment: &Environment) -> Self {
        let styles = |terminal| settings::styles(form.color, environment, terminal);
        Self::with(form.output, styles(environment.terminals.output), styles(environment.terminals.error), false)
    }

    fn with(output: Output, styles_output: bool, styles_error: bool, quiet: bool) -> Self {
        let (out, err) = (Stream { to: io::stdout(), styles: styles_output }, Stream { to: io::stderr(), styles: styles_error });
        Self { out, err, output, quiet, sieve: Sieve::default() }
    }

    /// Another one on the same streams, for a part of the program that writes by itself.
    #[must_use]
    pub fn another(&self, settings: &Settings) -> Self {
        Self { sieve: self.sieve.clone(), ..Self::new(settings) }
    }

    /// From now on nothing that this sieve catches leaves.
    pub fn strain_with(&mut self, sieve: Sieve) {
        self.sieve = sieve;
    }

    /// The form of the answer.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output
    }

    /// The answer for people; nothing if programs read it.
    pub fn answer(&mut self, text: &str) -> Result<(), CommandError> {
        match self.output {
            Output::Text => self.data(text),
            _ => Ok(()),
        }
    }

    /// The answer for programs; nothing if people read it. One object: over several lines as `json`, on one line as `jsonl`.
    pub fn document(&mut self, document: &impl Serialize) -> Result<(), CommandError> {
        let text = match self.output {
            Output::Json => serde_json::to_string_pretty(document),
            Output::Jsonl => serde_json::to_string(document),
            // People read it, or a program that wants a form of the command's own.
            _ => return Ok(()),
        };
        let text = text.expect("documents have string keys only") + "\n";
        if self.sieve.catches(&text) {
            // Half a document is none: the whole of it is replaced.
            let error = CommandError::defect(Sieve::withheld());
            return self.data(&(serde_json::to_string(&error.document()).expect("documents have string keys only") + "\n"));
        }
        self.data(&text)
    }

    /// Text for stdout whatever the form.
    pub fn data(&mut self, text: &str) -> Result<(), CommandError> {
        let text = self.sieve.strain(text);
        match self.out.write(&text) {
            // `cutover … | head` is no error; a run must not stop because nobody reads on.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| CommandError::no(code::FILE_WRITE, "cannot write to standard output").because(&error)),
        }
    }

    /// A line for the person at the terminal, on stderr. Nothing depends on it, so a closed stream is no error.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            let _ = self.err.write(&format!("{}\n", self.sieve.strain(text).trim_end_matches('\n')));
        }
    }

    /// A text as [`Self::note`] would write it, for a view that draws on stderr itself; nothing if the person wants quiet.
    #[must_use]
    pub fn fit(&self, text: &str) -> Option<String> {
        (!self.quiet).then(|| self.strained(text))
    }

    /// The same also if the person wants quiet.
    #[must_use]
    pub fn strained(&self, text: &str) -> String {
        self.err.styled(&self.sieve.strain(text)).into_owned()
    }

    /// What is wrong, on stderr, also if the person wants quiet.
    pub fn complain(&mut self, text: &str) {
        // The exit code tells it even if stderr is gone.
        let _ = self.err.write(&self.sieve.strain(text));
    }

    /// What went wrong: on stderr for people, and as an object on stdout for programs.
    pub fn fail(&mut self, error: &CommandError) {
        let _ = self.err.write(&self.sieve.strain(&error.text()));
        // The exit code tells the failure even if stdout is gone.
        let _ = self.document(&error.document());
    }
}

/// A stream, and whether ANSI styles belong into it.
struct Stream<W> {
    to: W,
    styles: bool,
}

impl<W> Stream<W> {
    /// The text without styles where they do not belong.
    fn styled<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.styles { Cow::Borrowed(text) } else { Cow::Owned(anstream::adapter::strip_str(text).to_string()) }
    }
}

impl<W: Write> Stream<W> {
    /// The whole text at once: a call of the system for each style and each line takes longer than the work.
    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(text);
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}
