// Uses every feature of `server-everything` and prints what each gave, without what differs from
// run to run: `node everything.mjs stdio COMMAND…` or `node everything.mjs http URL [TOKEN]`.

import { connect, say, until } from "./client.mjs";

const ROOTS = [{ uri: "file:///srv/project", name: "project" }];
const RESOURCE = "demo://resource/dynamic/text/1";

const { client, heard } = await connect(process.argv.slice(2), ROOTS);
const call = (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options);

async function tools() {
  say("initialize", [client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()?.length]);
  say("ping", await client.ping());
  // Tools that depend on the client's capabilities are there once it has initialized.
  const names = async () => (await client.listTools()).tools.map((tool) => tool.name);
  while (!(await names()).includes("trigger-elicitation-request"));
  say("tools/list", await client.listTools());
  say("echo", await call("echo", { message: "grüße \u2028 \\ \"" }));
  say("sum", await call("get-sum", { a: 1.5, b: 2 }));
  say("annotated", await call("get-annotated-message", { messageType: "error", includeImage: true }));
  say("structured", await call("get-structured-content", { location: "Chicago" }));
  say("links", (await call("get-resource-links", { count: 3 })).content.length);
  say("reference", (await call("get-resource-reference", { resourceType: "Text", resourceId: 1 })).content.length);
  say("image", await call("get-tiny-image"));
  say("invalid arguments", await call("get-sum", { a: "one" }).catch((error) => error.message));
  say("unknown tool", await call("no-such-tool").catch((error) => error.message));
  const gzip = { name: "a.gz", data: "data:text/plain,hello", outputType: "resource" };
  say("gzip", (await call("gzip-file-as-resource", gzip)).content.map((part) => part.type));
}

async function resources() {
  const { resources } = await client.listResources();
  const fixed = resources.filter((resource) => !resource.uri.includes("session"));
  say("resources/list", fixed);
  say("templates", await client.listResourceTemplates());
  say("document", await client.readResource({ uri: fixed[0].uri }));
  const { contents } = await client.readResource({ uri: RESOURCE });
  say("dynamic", contents.map(({ uri, mimeType }) => ({ uri, mimeType })));
  say("no such resource", await client.readResource({ uri: "demo://none" }).catch((error) => error.code));
}

async function prompts() {
  say("prompts/list", await client.listPrompts());
  say("simple", await client.getPrompt({ name: "simple-prompt" }));
  say("args", await client.getPrompt({ name: "args-prompt", arguments: { city: "Oslo", state: "none" } }));
  const ref = { type: "ref/prompt", name: "completable-prompt" };
  say("complete", await client.complete({ ref, argument: { name: "department", value: "E" } }));
  const context = { arguments: { department: "Sales" } };
  say("complete with context", await client.complete({ ref, argument: { name: "name", value: "" }, context }));
  const template = { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" };
  say("complete a template", await client.complete({ ref: template, argument: { name: "resourceId", value: "1" } }));
}

async function notifications() {
  say("level", await client.setLoggingLevel("debug"));
  await call("toggle-simulated-logging");
  await until("a log message", () => heard.logged.some(({ data }) => String(data).includes("message")));
  await call("toggle-simulated-logging");
  const progress = [];
  const options = { onprogress: (report) => progress.push(report) };
  say("long", await call("trigger-long-running-operation", { duration: 0.3, steps: 3 }, options));
  say("progress", progress[0]);
  say("subscribe", await client.subscribeResource({ uri: RESOURCE }));
  await call("toggle-subscriber-updates");
  await until("an update", () => heard.updated.includes(RESOURCE));
  await call("toggle-subscriber-updates");
  say("unsubscribe", await client.unsubscribeResource({ uri: RESOURCE }));
}

async function requestsOfTheServer() {
  const sampled = await call("trigger-sampling-request", { prompt: "a question", maxTokens: 5 });
  say("sampling", sampled.content[0].text.includes("sampled after: Resource trigger-sampling-request context: a question"));
  const elicited = await call("trigger-elicitation-request");
  say("elicitation", elicited.content[0].text);
  const listed = await call("get-roots-list");
  say("roots", listed.content[0].text.includes("file:///srv/project"));
  say("asked", [...new Set(heard.asked)].sort());
}

async function cancellation() {
  const abort = new AbortController();
  const report = new Promise((resolve) => {
    const options = { signal: abort.signal, onprogress: resolve };
    call("trigger-long-running-operation", { duration: 60, steps: 600 }, options).catch(() => {});
  });
  await report;
  abort.abort("enough");
  say("after a cancellation", await call("echo", { message: "still here" }));
}

await tools();
await resources();
await prompts();
await notifications();
await requestsOfTheServer();
await cancellation();
await client.close();
process.exit(0);
