// What `make run` shows: the gate in front of a real MCP server, three calls, and what it recorded.
// Everything lives in one temporary directory and is gone after Ctrl-C.

import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), "..");
const TOOLGATE = join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "debug", "toolgate");
const SERVER = join(REPOSITORY, "tests/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
const POLICY = join(REPOSITORY, "examples/demo/policy.yaml");
const START_MILLISECONDS = 20_000;

const directory = mkdtempSync(join(tmpdir(), "toolgate-demo-"));
const dataDirectory = join(directory, "data");
const token = `demo_${randomBytes(24).toString("hex")}`;

const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const bold = (text) => (colours ? `\x1b[1m${text}\x1b[0m` : text);
const heading = (text) => console.log(`\n${bold(text)}`);

function configuration() {
  return {
    listen: process.env.TOOLGATE_DEMO_LISTEN ?? "127.0.0.1:0",
    data_dir: dataDirectory,
    servers: { everything: { command: process.execPath, args: [SERVER, "stdio"] } },
    policies: { demo: { file: POLICY } },
    grants: [{ label: "demo-agent", token: "${DEMO_TOKEN}", access: [{ server: "everything", policy: "demo" }] }],
  };
}

/** Starts the gate and waits until it is ready. */
async function start() {
  const file = join(directory, "toolgate.json");
  writeFileSync(file, JSON.stringify(configuration(), null, 2), { mode: 0o600 });
  const env = { RUST_LOG: "warn", ...process.env, DEMO_TOKEN: token };
  // In a process group of its own: Ctrl-C reaches this script alone, which then stops the gate once.
  const how = { env, stdio: ["ignore", "inherit", "inherit"], detached: true };
  const gate = spawn(TOOLGATE, ["serve", "--config", file], how);
  let ended = null;
  gate.once("error", (error) => (ended = error.message));
  gate.once("exit", (code) => (ended = `it ended with ${code}`));
  for (const deadline = Date.now() + START_MILLISECONDS; Date.now() < deadline && ended === null; await soon()) {
    const address = listeningAddress();
    if (address && (await isReady(address))) return { gate, url: `http://${address}/mcp/everything` };
  }
  gate.kill("SIGKILL");
  throw new Error(`the gate did not start: ${ended ?? "it was not ready in time"}`);
}

/** A running gate keeps its address in its data directory. */
function listeningAddress() {
  try {
    return JSON.parse(readFileSync(join(dataDirectory, "gateway.json"), "utf8")).address;
  } catch {
    return null;
  }
}

async function isReady(address) {
  try {
    return (await fetch(`http://${address}/readyz`)).ok;
  } catch {
    return false;
  }
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A legacy MCP session, as small as it can be: what a client library does for its user. */
class Session {
  #url;
  #headers;
  #last = 0;

  constructor(url) {
    this.#url = url;
    this.#headers = {
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
    };
  }

  async open() {
    const clientInfo = { name: "demo", version: "1" };
    await this.request("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    await this.#post({ jsonrpc: "2.0", method: "notifications/initialized" });
  }

  async request(method, params) {
    const id = (this.#last += 1);
    const response = await this.#post({ jsonrpc: "2.0", id, method, params });
    const session = response.headers.get("mcp-session-id");
    if (session) this.#headers["mcp-session-id"] = session;
    return answerTo(id, response.headers.get("content-type"), await response.text());
  }

  #post(message) {
    return fetch(this.#url, { method: "POST", headers: this.#headers, body: JSON.stringify(message) });
  }

  close() {
    return fetch(this.#url, { method: "DELETE", headers: this.#headers });
  }
}

function answerTo(id, contentType, text) {
  if (!contentType?.startsWith("text/event-stream")) return JSON.parse(text);
  const events = text.split(/\r?\n\r?\n/).map((event) =>
    event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n"));
  return events.filter((data) => data.trim()).map((data) => JSON.parse(data)).find((message) => message.id === id);
}

function show(name, args, answer) {
  const said = answer.error?.message ?? answer.result.content.map((part) => part.text ?? `(${part.type})`).join("; ");
  console.log(`  ${name} ${JSON.stringify(args)}\n    ${said}`);
  const decision = answer.result?._meta?.["dev.toolgate/decision"];
  if (decision) console.log(`    ${JSON.stringify(decision)}`);
}

async function demonstrate(url) {
  const session = new Session(url);
  await session.open();

  heading("What the agent sees (the server has more tools; `get-env` is hidden, the others are denied)");
  const { result } = await session.request("tools/list", {});
  console.log(`  ${result.tools.map((tool) => tool.name).join(", ")}`);

  const calls = [
    ["allowed", "echo", { message: "hello" }],
    ["denied by an argument", "get-sum", { a: 5000, b: 1 }],
    ["allowed, and counted", "get-tiny-image", {}],
    ["over its limit of one a day", "get-tiny-image", {}],
    ["hidden", "get-env", {}],
  ];
  for (const [what, name, args] of calls) {
    heading(`A call that is ${what}`);
    show(name, args, await session.request("tools/call", { name, arguments: args }));
  }
  await session.close();
}

function toolgate(...args) {
  const ran = spawnSync(TOOLGATE, [...args, "--data-dir", dataDirectory], { stdio: ["ignore", "inherit", "inherit"] });
  if (ran.status !== 0) throw new Error(`toolgate ${args.join(" ")} ended with ${ran.status}`);
}

async function main() {
  const { gate, url } = await start();
  const ended = new Promise((resolve) => gate.once("exit", resolve));
  const stop = () => gate.kill("SIGTERM");
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await demonstrate(url);
    heading("What the gate recorded");
    toolgate("audit", "list");
    toolgate("audit", "verify");
    heading("Configuration for an MCP client");
    const headers = { Authorization: `Bearer ${token}` };
    console.log(JSON.stringify({ mcpServers: { everything: { type: "http", url, headers } } }, null, 2));
    heading(`The gate is running at ${url}; Ctrl-C stops it`);
  } catch (error) {
    stop();
    await ended;
    throw error;
  }
  await ended;
}

try {
  await main();
} catch (error) {
  console.error(String(error.message ?? error));
  process.exitCode = 3;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
