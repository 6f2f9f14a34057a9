"""Asks an HTTP path and tells its status and one public field. `wit/` has the contract: read probe.wit and types.wit.

There is no WASI here: no clock, no randomness, no files, and print() ends the call. `wit_world.imports.log` writes to the
operator. Modules are taken into the component when it is built: an import inside a function finds nothing.
"""

import json
from urllib.parse import quote

from wit_world import exports
from wit_world.exports.plugin import Cardinality, Manifest, Operation, Purpose, ResponseRule, Role, Route, RouteClass
from wit_world.imports import connection

# What the plugin offers and everything that it may ask for. What is not named public, the plugin sees as a token only.
TARGET = Role(
    name="target",
    kinds=["http"],
    cardinality=Cardinality.ONE,
    routes=[
        Route(
            method="GET",
            path="/{+path}",
            class_=RouteClass.READ,
            object=None,
            response=ResponseRule.JSON,
            public_response=["/ready"],
            public_request=[],
        )
    ],
)

GET = Operation(
    name="get",
    summary="status and readiness of one GET",
    purpose=Purpose.OBSERVE,
    input_schema=json.dumps(
        {
            "type": "object",
            "properties": {"path": {"type": "string", "minLength": 1}},
            "required": ["path"],
            "additionalProperties": False,
        }
    ),
    output_schema=json.dumps(
        {
            "type": "object",
            "properties": {"status": {"type": "integer"}, "ready": {"type": ["boolean", "null"]}},
            "required": ["status", "ready"],
        }
    ),
    roles=[TARGET],
    flows=[],
    server_chosen=[],
    resumable=True,
    collapses=False,
    irreversible=False,
    self_checking=False,
)


class Plugin(exports.Plugin):
    def describe(self):
        return Manifest(name="example:my-plugin", version="0.1.0", summary="asks an HTTP path", operations=[GET], losses=[])


class Probe(exports.Probe):
    def observe(self, context, operation, input, change):
        """One observation; a workflow's `expect` judges it."""
        path = "/" + quote(json.loads(input)["path"])
        request = connection.Request(method="GET", path=path, query=[], headers=[], body=None, as_=None)
        response = connection.send("target", None, request)
        body = None if response.body is None else json.loads(response.body)
        ready = body.get("ready") if isinstance(body, dict) else None
        return json.dumps({"status": response.status, "ready": ready if isinstance(ready, bool) else None})
