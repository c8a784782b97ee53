// Uses `server-filesystem` in the directory DIR and prints what each tool gave:
// `node filesystem.mjs DIR stdio COMMAND…` or `node filesystem.mjs DIR http URL [TOKEN]`.

import { pathToFileURL } from "node:url";

import { connect, say } from "./client.mjs";

const [directory, ...how] = process.argv.slice(2);
const { client, heard } = await connect(how, [{ uri: pathToFileURL(directory).href, name: "work" }]);
const within = (name) => `${directory}/${name}`;

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  say(name, JSON.parse(JSON.stringify(result).replaceAll(directory, "DIR")));
}

say("tools/list", await client.listTools());
await call("list_allowed_directories");
await call("create_directory", { path: within("made") });
await call("write_file", { path: within("made/a.txt"), content: "one\ntwo — zwölf\n" });
await call("read_text_file", { path: within("made/a.txt") });
await call("read_multiple_files", { paths: [within("made/a.txt"), within("made/none.txt")] });
await call("edit_file", { path: within("made/a.txt"), edits: [{ oldText: "one", newText: "1" }] });
await call("move_file", { source: within("made/a.txt"), destination: within("made/b.txt") });
await call("list_directory", { path: within("made") });
await call("directory_tree", { path: directory });
await call("search_files", { path: directory, pattern: "**/*.txt" });
await call("read_text_file", { path: "/etc/hostname" });
say("asked", [...new Set(heard.asked)]);
await client.close();
process.exit(0);
