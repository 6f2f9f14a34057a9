//! The manifest in the words of the contract. Each world has generated types of its own for it.

use crate::{bindings, manifest};

macro_rules! manifest_to {
    ($world:ident) => {
        mod $world {
            use super::{bindings::$world::exports::cutover::plugin::plugin as wire, manifest};

            impl From<manifest::Manifest> for wire::Manifest {
                fn from(manifest: manifest::Manifest) -> Self {
                    Self {
                        name: manifest.name,
                        version: manifest.version,
                        summary: manifest.summary,
                        operations: manifest.operations.into_iter().map(Into::into).collect(),
                        losses: manifest.losses.into_iter().map(Into::into).collect(),
                    }
                }
            }

            impl From<manifest::Operation> for wire::Operation {
                fn from(operation: manifest::Operation) -> Self {
                    Self {
                        name: operation.name,
                        summary: operation.summary,
                        purpose: match operation.purpose {
                            manifest::Purpose::Migrate => wire::Purpose::Migrate,
                            manifest::Purpose::Retire => wire::Purpose::Retire,
                            manifest::Purpose::Observe => wire::Purpose::Observe,
                        },
                        input_schema: operation.input.to_string(),
                        output_schema: operation.output.to_string(),
                        roles: operation.roles.into_iter().map(Into::into).collect(),
                        flows: operation.flows.into_iter().map(|(from, to)| wire::Flow { from, to }).collect(),
                        server_chosen: operation.server_chosen,
                        resumable: operation.resumable,
                        collapses: operation.collapses,
                        irreversible: operation.irreversible,
                        self_checking: operation.self_checking,
                    }
                }
            }

            impl From<manifest::Role> for wire::Role {
                fn from(role: manifest::Role) -> Self {
                    Self {
                        name: role.name,
                        kinds: role.kinds,
                        cardinality: if role.many { wire::Cardinality::Many } else { wire::Cardinality::One },
                        routes: role.routes.into_iter().map(Into::into).collect(),
                    }
                }
            }

            impl From<manifest::Route> for wire::Route {
                fn from(route: manifest::Route) -> Self {
                    Self {
                        method: route.method,
                        path: route.path,
                        class: match route.class {
                            manifest::RouteClass::Read => wire::RouteClass::Read,
                            manifest::RouteClass::Login => wire::RouteClass::Login,
                            manifest::RouteClass::Add => wire::RouteClass::Add,
                            manifest::RouteClass::Write => wire::RouteClass::Write,
                        },
                        object: route.object,
                        response: match route.response {
                            manifest::ResponseRule::Status => wire::ResponseRule::Status,
                            manifest::ResponseRule::Json => wire::ResponseRule::Json,
                            manifest::ResponseRule::Opaque => wire::ResponseRule::Opaque,
                        },
                        public_response: route.public_response,
                        public_request: route.public_request,
                    }
                }
            }

            impl From<manifest::LossCode> for wire::LossCode {
                fn from(loss: manifest::LossCode) -> Self {
                    Self {
                        code: loss.code,
                        weight: if loss.material { wire::Weight::Material } else { wire::Weight::Inherent },
                        description: loss.description,
                        residue: loss.residue,
                    }
                }
            }
        }
    };
}

manifest_to!(migrator);
manifest_to!(prober);
