//! The manifest as `describe` returns it, as plain data.

use cutover_engine::{
    Cardinality, Flow, LossCode, LossWeight, Manifest, Operation, Pointer, Purpose, ResponseRule, Role, Route, RouteClass,
};

use super::{super::bindings::migrator::exports::cutover::plugin::plugin as guest, Broken, json};

/// What `describe` returned.
pub(in super::super) fn manifest(manifest: guest::Manifest) -> Result<Manifest, Broken> {
    Ok(Manifest {
        name: manifest.name,
        version: manifest.version,
        summary: manifest.summary,
        operations: manifest.operations.into_iter().map(operation).collect::<Result<_, _>>()?,
        losses: manifest.losses.into_iter().map(loss_code).collect::<Result<_, _>>()?,
    })
}

fn operation(operation: guest::Operation) -> Result<Operation, Broken> {
    Ok(Operation {
        name: operation.name,
        summary: operation.summary,
        purpose: match operation.purpose {
            guest::Purpose::Migrate => Purpose::Migrate,
            guest::Purpose::Retire => Purpose::Retire,
            guest::Purpose::Observe => Purpose::Observe,
        },
        input_schema: json(&operation.input_schema, "input-schema")?,
        output_schema: json(&operation.output_schema, "output-schema")?,
        roles: operation.roles.into_iter().map(role).collect::<Result<_, _>>()?,
        flows: operation.flows.into_iter().map(|flow| Flow { from: flow.from, to: flow.to }).collect(),
        server_chosen: pointers(&operation.server_chosen, "server-chosen")?,
        resumable: operation.resumable,
        collapses: operation.collapses,
        irreversible: operation.irreversible,
        self_checking: operation.self_checking,
    })
}

fn role(role: guest::Role) -> Result<Role, Broken> {
    Ok(Role {
        name: role.name,
        kinds: role.kinds,
        cardinality: match role.cardinality {
            guest::Cardinality::One => Cardinality::One,
            guest::Cardinality::Many => Cardinality::Many,
        },
        routes: role.routes.into_iter().map(route).collect::<Result<_, _>>()?,
    })
}

fn route(route: guest::Route) -> Result<Route, Broken> {
    Ok(Route {
        method: route.method,
        path: route.path,
        class: match route.class {
            guest::RouteClass::Read => RouteClass::Read,
            guest::RouteClass::Login => RouteClass::Login,
            guest::RouteClass::Add => RouteClass::Add,
            guest::RouteClass::Write => RouteClass::Write,
        },
        object: route.object,
        response: match route.response {
            guest::ResponseRule::Status => ResponseRule::Status,
            guest::ResponseRule::Json => ResponseRule::Json,
            guest::ResponseRule::Opaque => ResponseRule::Opaque,
        },
        public_response: pointers(&route.public_response, "public-response")?,
        public_request: pointers(&route.public_request, "public-request")?,
    })
}

fn loss_code(loss: guest::LossCode) -> Result<LossCode, Broken> {
    // With that any rollback would count as complete.
    if loss.residue.iter().any(String::is_empty) {
        return Err(Broken(format!("the loss `{}` would excuse the whole state after a rollback", super::text::line(&loss.code, 80))));
    }
    Ok(LossCode {
        code: loss.code,
        weight: match loss.weight {
            guest::Weight::Inherent => LossWeight::Inherent,
            guest::Weight::Material => LossWeight::Material,
        },
        description: loss.description,
        residue: pointers(&loss.residue, "residue")?,
    })
}

fn pointers(texts: &[String], what: &str) -> Result<Vec<Pointer>, Broken> {
    texts.iter().map(|text| Pointer::parse(text).map_err(|error| Broken(format!("`{what}`: {}", super::text::line(&error, 200))))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_cannot_excuse_the_whole_state() {
        let loss = |residue: &str| guest::LossCode {
            code: "times".to_owned(),
            weight: guest::Weight::Inherent,
            description: "when it was written".to_owned(),
            residue: vec![residue.to_owned()],
        };
        assert!(loss_code(loss("/created")).is_ok());
        assert!(loss_code(loss("")).is_err());
    }
}
