//! `sealed`: work on secrets that the plugin cannot see.

use super::{
    super::{
        bindings::migrator::cutover::plugin::{
            sealed::{Facts, Form, Generated, Host, Kind},
            types::Failure,
        },
        conversion::{self, failure_to_guest},
    },
    Host as State,
};

impl Host for State {
    async fn generate(&mut self, label: String, kind: Kind) -> wasmtime::Result<Result<Generated, Failure>> {
        let generated = self.powers()?.generate(label, conversion::kind(kind)).await;
        Ok(generated.map(conversion::generated).map_err(failure_to_guest))
    }

    fn parse(&mut self, token: String, form: Form) -> wasmtime::Result<Result<String, Failure>> {
        let parsed = self.powers()?.parse(&token, conversion::form(form));
        Ok(parsed.map(|value| value.to_string()).map_err(failure_to_guest))
    }

    fn render(&mut self, document: String, form: Form) -> wasmtime::Result<Result<String, Failure>> {
        let powers = self.powers()?;
        let document = match conversion::json(&document, "document") {
            Ok(document) => document,
            Err(broken) => return Ok(Err(broken.into_invalid_input())),
        };
        Ok(powers.render(&document, conversion::form(form)).map_err(failure_to_guest))
    }

    fn sign(&mut self, key: String, message: Vec<u8>) -> wasmtime::Result<Result<String, Failure>> {
        Ok(self.powers()?.sign(&key, &message).map_err(failure_to_guest))
    }

    fn csr(&mut self, key: String, names: Vec<String>) -> wasmtime::Result<Result<String, Failure>> {
        Ok(self.powers()?.csr(&key, &names).map_err(failure_to_guest))
    }

    fn certificate_facts(&mut self, certificate: String) -> wasmtime::Result<Result<Facts, Failure>> {
        let facts = self.powers()?.certificate_facts(&certificate);
        Ok(facts.map(conversion::facts).map_err(failure_to_guest))
    }

    fn claims(&mut self, token: String) -> wasmtime::Result<Result<String, Failure>> {
        let claims = self.powers()?.claims(&token);
        Ok(claims.map(|value| value.to_string()).map_err(failure_to_guest))
    }
}
