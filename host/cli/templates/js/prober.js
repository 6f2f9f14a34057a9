// Asks an HTTP path and tells its status and one public field. `wit/` has the contract: read probe.wit and types.wit.
// There is no WASI here: no clock, no randomness, no console; `log` of cutover:plugin/log@0.1.0 writes to the operator.

import { send } from "cutover:plugin/connection@0.1.0";

// What the plugin offers and everything that it may ask for. What is not named public, the plugin sees as a token only.
const target = {
  name: "target",
  kinds: ["http"],
  cardinality: "one",
  routes: [
    {
      method: "GET",
      path: "/{+path}",
      class: "read",
      object: undefined,
      response: "json",
      publicResponse: ["/ready"],
      publicRequest: [],
    },
  ],
};

const get = {
  name: "get",
  summary: "status and readiness of one GET",
  purpose: "observe",
  inputSchema: JSON.stringify({
    type: "object",
    properties: { path: { type: "string", minLength: 1 } },
    required: ["path"],
    additionalProperties: false,
  }),
  outputSchema: JSON.stringify({
    type: "object",
    properties: { status: { type: "integer" }, ready: { type: ["boolean", "null"] } },
    required: ["status", "ready"],
  }),
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
    return { name: "example:my-plugin", version: "0.1.0", summary: "asks an HTTP path", operations: [get], losses: [] };
  },
};

export const probe = {
  // One observation; a workflow's `expect` judges it.
  observe(context, operation, input, change) {
    const path = `/${JSON.parse(input).path.split("/").map(encodeURIComponent).join("/")}`;
    const response = send("target", undefined, { method: "GET", path, query: [], headers: [], body: undefined, as: undefined });
    // An absent option comes as null or as undefined, as the tool has it that made the component.
    const body = JSON.parse(response.body ?? "null");
    return JSON.stringify({ status: response.status, ready: typeof body?.ready === "boolean" ? body.ready : null });
  },
};
