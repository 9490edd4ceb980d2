// Shows the last request as a command that does the same in a terminal.
import { announce } from "./dom.js";
import { apiKey } from "./key.js";

const panel = document.getElementById("curl");
const code = panel.querySelector("code");
let acted = 0;

panel.querySelector("button").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(code.textContent);
    announce("Copied.");
  } catch {
    // not allowed on a page without TLS: select it instead, for the user's own Ctrl-C
    getSelection().selectAllChildren(code);
    announce("Selected; copy it with Control C.");
  }
});

/** Show a request; `shown` is a shell word that stands for its body. What is read next does not hide what was done. */
export function remember({ method, path, headers, body, shown }) {
  if (method !== "GET") acted = Date.now();
  else if (Date.now() - acted < 10_000) return;
  code.textContent = command({ method, path, headers, body, shown });
  panel.hidden = false;
}

/** A request in POSIX shell. */
export function command({ method, path, headers, body, shown }) {
  const words = [`curl ${quoted(location.origin + path)}`];
  if (method !== "GET" && !(method === "POST" && (body || shown)))
    words[0] = `curl -X ${method} ${quoted(location.origin + path)}`;
  for (const [name, value] of Object.entries(headers)) words.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (apiKey()) words.push('-H "Authorization: Bearer $HEMLINE_API_KEY"'); // not the key: people show commands
  if (shown) words.push(shown);
  else if (body) words.push(`-d ${quoted(body)}`);
  return words.join(" \\\n  ");
}

/** A word of shell, in quotes where it needs them. */
export const quoted = (text) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
