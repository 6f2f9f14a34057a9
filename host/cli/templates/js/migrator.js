// Puts one JSON value to an HTTP path. `wit/` has the contract: read migration.wit and types.wit beside this file.
// There is no WASI here: no clock, no randomness, no console; `log` of cutover:plugin/log@0.1.0 writes to the operator.

import { send } from "cutover:plugin/connection@0.1.0";

const route = (method, className, more) => ({
  method,
  path: "/{+path}",
  class: className,
  object: undefined,
  response: "json",
  publicResponse: [],
  publicRequest: [],
  ...more,
});

// What the plugin offers and everything that it may ask for. What is not named public, the plugin sees as a token only.
const target = {
  name: "target",
  kinds: ["http"],
  cardinality: "one",
  routes: [
    route("GET", "read", { publicResponse: [""] }),
    route("PUT", "write", { publicRequest: [""] }),
    route("DELETE", "write", { response: "status" }),
  ],
};

const put = {
  name: "put",
  summary: "puts one JSON value",
  purpose: "migrate",
  inputSchema: JSON.stringify({
    type: "object",
    properties: { path: { type: "string", minLength: 1 }, value: {} },
    required: ["path", "value"],
    additionalProperties: false,
  }),
  outputSchema: JSON.stringify({}),
  roles: [target],
  flows: [],
  serverChosen: [],
  resumable: true,
  collapses: false,
  irreversible: false,
  selfChecking: false,
};

export const plugin = {
  describe() {
    return { name: "example:my-plugin", version: "0.1.0", summary: "puts one value to an HTTP path", operations: [put], losses: [] };
  },
};

export const migration = {
  plan(operation, input, linked, cursor) {
    const { path, value } = JSON.parse(input);
    const object = { role: "target", member: undefined, path };
    const there = read(object);
    const change = {
      id: `target:${path}`,
      subject: [object],
      links: [],
      action: there === undefined ? "create" : "update",
      group: undefined,
      summary: `put the value to target:${path}`,
      // The tag makes a target that moved after the plan show as drift.
      instruction: JSON.stringify({ value, seen: there === undefined ? null : (there.etag ?? null) }),
      losses: [],
      byHand: there === undefined ? `remove target:${path}` : `put the captured value back to target:${path}`,
      conflict: undefined,
    };
    return { changes: [change], rest: [], output: undefined };
  },

  capture(context, operation, change) {
    const there = read(change.subject[0]);
    return { state: there === undefined ? undefined : JSON.stringify(there.value), expected: JSON.stringify(wanted(change)) };
  },

  // Reads before it writes: what is there already is not written again.
  apply(context, operation, change, preImage, memo) {
    become(change.subject[0], wanted(change));
    return { tag: "done", val: undefined };
  },

  rollback(context, operation, change, preImage, memo) {
    become(change.subject[0], parsed(preImage));
    return { tag: "done", val: memo };
  },

  verify(context, operation, change, preImage, memo, stage) {
    const should = stage === "rolled-back" ? parsed(preImage) : wanted(change);
    const verdict = same(read(change.subject[0])?.value, should) ? "pass" : "fail";
    return [{ name: "reads-back", plane: "application", verdict, detail: "the value was read again and compared" }];
  },
};

const wanted = (change) => JSON.parse(change.instruction).value;

// An absent option comes as null or as undefined, as the tool has it that made the component.
const parsed = (text) => (text === undefined || text === null ? undefined : JSON.parse(text));

// What is there; undefined for nothing. Only 404 is absence.
function read(object) {
  const response = ask(object, "GET", [], undefined);
  if (response.status === 404) {
    return undefined;
  }
  succeed(response, "read the value");
  const etag = response.headers.find(([name]) => name === "etag")?.[1];
  return { value: parsed(response.body) ?? null, etag };
}

// Makes the object what it should be. Every write says what it expects to replace (RFC 9110 section 13.1).
function become(object, value) {
  const there = read(object);
  if (same(there?.value, value)) {
    return;
  }
  const prior = there === undefined ? [["if-none-match", "*"]] : there.etag === undefined ? [] : [["if-match", there.etag]];
  const body = value === undefined ? undefined : { tag: "json", val: JSON.stringify(value) };
  succeed(ask(object, value === undefined ? "DELETE" : "PUT", prior, body), "write the value");
}

function ask(object, method, headers, body) {
  const path = `/${object.path.split("/").map(encodeURIComponent).join("/")}`;
  return send(object.role, object.member, { method, path, query: [], headers, body, as: undefined });
}

// The host decides retries from the case of a failure, never from its text.
function succeed({ status }, what) {
  if (status >= 200 && status < 300) {
    return;
  }
  const text = `${what}: status ${status}`;
  if (status === 401 || status === 403) throw { tag: "denied", val: text };
  if (status === 404) throw { tag: "not-found", val: text };
  if (status === 409 || status === 412) throw { tag: "conflict", val: text };
  if (status === 429) throw { tag: "rate-limited", val: 1 };
  if (status >= 500) throw { tag: "unavailable", val: text };
  throw { tag: "invalid-input", val: text };
}

// Equal as JSON: the order of an object's members does not count.
function same(one, other) {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return one === other;
  }
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && names.length === Object.keys(other).length
    && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}
