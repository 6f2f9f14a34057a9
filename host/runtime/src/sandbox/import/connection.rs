//! `connection`: the only way out.

use super::{
    super::{
        bindings::migrator::cutover::plugin::{
            connection::{Host, Request, Response},
            types::Failure,
        },
        conversion,
    },
    Host as State,
};

impl Host for State {
    async fn send(&mut self, role: String, member: Option<String>, request: Request) -> wasmtime::Result<Result<Response, Failure>> {
        let powers = self.powers()?;
        let request = match conversion::request(request) {
            Ok(request) => request,
            Err(broken) => return Ok(Err(broken.into_invalid_input())),
        };
        Ok(powers.send(role, member, request).await.map(conversion::response).map_err(conversion::failure_to_guest))
    }

    fn members(&mut self, role: String) -> wasmtime::Result<Vec<String>> {
        Ok(self.powers()?.members(&role))
    }
}
