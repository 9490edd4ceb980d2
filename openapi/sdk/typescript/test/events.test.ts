/** Server-sent events, in all the ways that they may be cut into pieces; and what browsers need. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { events } from "../src/events.js";

const TEXT =
  '\uFEFF: hello\r\n\r\nid: 1\r\nevent: epoch\r\ndata: {"a":\r\ndata: "é\u2028"}\r\n\r\n: still here\n\nid: 2\n' +
  "data:x\n\ndata: cut";

for (const size of [1, 2, 3, 7, 1000]) {
  test(`events come whole in pieces of ${size} bytes`, async () => {
    const bytes = new TextEncoder().encode(TEXT);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size));
        controller.close();
      },
    });
    const seen = [];
    for await (const event of events(body)) seen.push(event);
    assert.deepEqual(seen, [
      { id: "1", type: "epoch", data: '{"a":\n"é\u2028"}' },
      { id: "2", type: "message", data: "x" },
    ]);
  });
}

test("the main entry imports nothing of Node", async () => {
  const seen = new Set(["index.js"]);
  for (const file of seen) {
    const text = await readFile(new URL(`../src/${file}`, import.meta.url), "utf8");
    assert.doesNotMatch(text, /from "node:|require\(|process\./);
    for (const [, imported] of text.matchAll(/from "\.\/([^"]+)"/g)) seen.add(imported as string);
  }
  assert.ok(seen.has("client.js") && !seen.has("node.js"));
});
