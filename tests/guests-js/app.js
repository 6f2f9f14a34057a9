// A prober in JavaScript: asks one HTTP path and tells the status and the document.

import { send } from "cutover:plugin/connection@0.1.0";

const route = {
  method: "GET",
  path: "/{+path}",
  class: "read",
  object: undefined,
  response: "json",
  publicResponse: [""],
  publicRequest: [],
};

const get = {
  name: "get",
  summary: "status and document of one GET",
  purpose: "observe",
  inputSchema: JSON.stringify({
    type: "object",
    properties: { path: { type: "string", minLength: 1 } },
    required: ["path"],
    additionalProperties: false,
  }),
  outputSchema: JSON.stringify({
    type: "object",
    properties: { status: { type: "integer" }, body: {} },
    required: ["status", "body"],
  }),
  roles: [{ name: "target", kinds: ["http"], cardinality: "one", routes: [route] }],
  flows: [],
  serverChosen: [],
  resumable: true,
  collapses: false,
  irreversible: false,
  selfChecking: false,
};

export const plugin = {
  describe() {
    return { name: "cutover:guest-js", version: "0.1.0", summary: "asks an HTTP path, in JavaScript", operations: [get], losses: [] };
  },
};

export const probe = {
  observe(context, operation, input, change) {
    if (operation !== "get") {
      throw { tag: "invalid-input", val: `there is no operation \`${operation}\`` };
    }
    const path = `/${JSON.parse(input).path}`;
    const response = send("target", undefined, { method: "GET", path, query: [], headers: [], body: undefined, as: undefined });
    return JSON.stringify({ status: response.status, body: response.body === undefined ? null : JSON.parse(response.body) });
  },
};
