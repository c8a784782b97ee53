// The official client, connected over standard input and output or over Streamable HTTP.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

const CAPABILITIES = { sampling: {}, elicitation: {}, roots: { listChanged: true } };

function transport([kind, ...rest]) {
  if (kind === "stdio") {
    const [command, ...args] = rest;
    return new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" });
  }
  const [url, token] = rest;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
}

/** Connects as `stdio COMMAND ARGUMENT…` or `http URL [TOKEN]` says. */
export async function connect(args, roots = []) {
  const client = new Client({ name: "official-client", version: "1" }, { capabilities: CAPABILITIES });
  const heard = { logged: [], updated: [], asked: [] };
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    heard.asked.push("sampling");
    const text = `sampled after: ${params.messages[0].content.text}`;
    return { model: "none", role: "assistant", content: { type: "text", text }, stopReason: "endTurn" };
  });
  client.setRequestHandler(ElicitRequestSchema, () => {
    heard.asked.push("elicitation");
    return { action: "accept", content: { name: "Ada", check: true } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => {
    heard.asked.push("roots");
    return { roots };
  });
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.logged.push(params);
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    heard.updated.push(params.uri);
  });
  await client.connect(transport(args));
  return { client, heard };
}

/** Waits until `condition` holds. */
export async function until(what, condition) {
  for (const deadline = Date.now() + 20_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Prints what one feature gave, to be compared with what it gives without the gate. */
export function say(feature, value) {
  console.log(`${feature} ${JSON.stringify(value)}`);
}
