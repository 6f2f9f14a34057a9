"""Puts one JSON value to an HTTP path. `wit/` has the contract: read migration.wit and types.wit beside this file.

There is no WASI here: no clock, no randomness, no files, and print() ends the call. `wit_world.imports.log` writes to the
operator. Modules are taken into the component when it is built: an import inside a function finds nothing.
"""

import json
from urllib.parse import quote

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.migration import Page
from wit_world.exports.plugin import Cardinality, Manifest, Operation, Purpose, ResponseRule, Role, Route, RouteClass
from wit_world.imports import connection
from wit_world.imports.types import (
    Action,
    Change,
    Check,
    Failure_Conflict,
    Failure_Denied,
    Failure_InvalidInput,
    Failure_NotFound,
    Failure_RateLimited,
    Failure_Unavailable,
    Object,
    Plane,
    Progress_Done,
    Snapshot,
    Stage,
    Verdict,
)


def route(method, class_, response=ResponseRule.JSON, public_response=(), public_request=()):
    return Route(
        method=method,
        path="/{+path}",
        class_=class_,
        object=None,
        response=response,
        public_response=list(public_response),
        public_request=list(public_request),
    )


# What the plugin offers and everything that it may ask for. What is not named public, the plugin sees as a token only.
TARGET = Role(
    name="target",
    kinds=["http"],
    cardinality=Cardinality.ONE,
    routes=[
        route("GET", RouteClass.READ, public_response=[""]),
        route("PUT", RouteClass.WRITE, public_request=[""]),
        route("DELETE", RouteClass.WRITE, response=ResponseRule.STATUS),
    ],
)

PUT = Operation(
    name="put",
    summary="puts one JSON value",
    purpose=Purpose.MIGRATE,
    input_schema=json.dumps(
        {
            "type": "object",
            "properties": {"path": {"type": "string", "minLength": 1}, "value": {}},
            "required": ["path", "value"],
            "additionalProperties": False,
        }
    ),
    output_schema=json.dumps({}),
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
        return Manifest(
            name="example:my-plugin",
            version="0.1.0",
            summary="puts one value to an HTTP path",
            operations=[PUT],
            losses=[],
        )


class Migration(exports.Migration):
    def plan(self, operation, input, linked, cursor):
        wish = json.loads(input)
        path = wish["path"]
        target = Object(role="target", member=None, path=path)
        there = read(target)
        # The tag makes a target that moved after the plan show as drift.
        instruction = {"value": wish["value"], "seen": there and there["etag"]}
        change = Change(
            id=f"target:{path}",
            subject=[target],
            links=[],
            action=Action.CREATE if there is None else Action.UPDATE,
            group=None,
            summary=f"put the value to target:{path}",
            instruction=json.dumps(instruction),
            losses=[],
            by_hand=f"remove target:{path}" if there is None else f"put the captured value back to target:{path}",
            conflict=None,
        )
        return Page(changes=[change], rest=[], output=None)

    def capture(self, context, operation, change):
        there = read(change.subject[0])
        state = None if there is None else json.dumps(there["value"])
        return Snapshot(state=state, expected=json.dumps(wanted(change)))

    def apply(self, context, operation, change, pre_image, memo):
        """Reads before it writes: what is there already is not written again."""
        become(change.subject[0], {"value": wanted(change)})
        return Progress_Done(None)

    def rollback(self, context, operation, change, pre_image, memo):
        become(change.subject[0], None if pre_image is None else {"value": json.loads(pre_image)})
        return Progress_Done(memo)

    def verify(self, context, operation, change, pre_image, memo, stage):
        before = None if pre_image is None else {"value": json.loads(pre_image)}
        should = before if stage == Stage.ROLLED_BACK else {"value": wanted(change)}
        verdict = Verdict.PASS if same(read(change.subject[0]), should) else Verdict.FAIL
        return [Check(name="reads-back", plane=Plane.APPLICATION, verdict=verdict, detail="the value was read again and compared")]


def wanted(change):
    return json.loads(change.instruction)["value"]


def read(target):
    """What is there: its value and tag; None for nothing. Only 404 is absence."""
    response = ask(target, "GET", [], None)
    if response.status == 404:
        return None
    succeed(response, "read the value")
    value = None if response.body is None else json.loads(response.body)
    return {"value": value, "etag": dict(response.headers).get("etag")}


def become(target, should):
    """Makes the object what it should be. Every write says what it expects to replace (RFC 9110 section 13.1)."""
    there = read(target)
    if same(there, should):
        return
    if there is None:
        prior = [("if-none-match", "*")]
    else:
        prior = [("if-match", there["etag"])] if there["etag"] else []
    body = None if should is None else connection.Body_Json(json.dumps(should["value"]))
    succeed(ask(target, "DELETE" if should is None else "PUT", prior, body), "write the value")


def same(there, should):
    """Equal as JSON: the order of an object's members does not count, and True is not 1."""
    if there is None or should is None:
        return there is None and should is None
    return json.dumps(there["value"], sort_keys=True) == json.dumps(should["value"], sort_keys=True)


def ask(target, method, headers, body):
    request = connection.Request(method=method, path="/" + quote(target.path), query=[], headers=headers, body=body, as_=None)
    return connection.send(target.role, target.member, request)


def succeed(response, what):
    """The host decides retries from the case of a failure, never from its text."""
    status = response.status
    if 200 <= status < 300:
        return
    text = f"{what}: status {status}"
    if status in (401, 403):
        raise Err(Failure_Denied(text))
    if status == 404:
        raise Err(Failure_NotFound(text))
    if status in (409, 412):
        raise Err(Failure_Conflict(text))
    if status == 429:
        raise Err(Failure_RateLimited(1))
    if status >= 500:
        raise Err(Failure_Unavailable(text))
    raise Err(Failure_InvalidInput(text))
