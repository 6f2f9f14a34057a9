"""A prober in Python: asks one HTTP path and tells the status and the document."""

# Modules are taken into the component when it is built: an import inside a function would find nothing.
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.plugin import Cardinality, Manifest, Operation, Purpose, ResponseRule, Role, Route, RouteClass
from wit_world.imports import connection
from wit_world.imports.types import Failure_InvalidInput

ROUTE = Route(
    method="GET",
    path="/{+path}",
    class_=RouteClass.READ,
    object=None,
    response=ResponseRule.JSON,
    public_response=[""],
    public_request=[],
)

GET = Operation(
    name="get",
    summary="status and document of one GET",
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
            "properties": {"status": {"type": "integer"}, "body": {}},
            "required": ["status", "body"],
        }
    ),
    roles=[Role(name="target", kinds=["http"], cardinality=Cardinality.ONE, routes=[ROUTE])],
    flows=[],
    server_chosen=[],
    resumable=True,
    collapses=False,
    irreversible=False,
    self_checking=False,
)


class Plugin(exports.Plugin):
    def describe(self):
        return Manifest(
            name="cutover:guest-python",
            version="0.1.0",
            summary="asks an HTTP path, in Python",
            operations=[GET],
            losses=[],
        )


class Probe(exports.Probe):
    def observe(self, context, operation, input, change):
        if operation != "get":
            raise Err(Failure_InvalidInput(f"there is no operation `{operation}`"))
        path = "/" + json.loads(input)["path"]
        request = connection.Request(method="GET", path=path, query=[], headers=[], body=None, as_=None)
        response = connection.send("target", None, request)
        body = None if response.body is None else json.loads(response.body)
        return json.dumps({"status": response.status, "body": body})
