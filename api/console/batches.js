// Many pictures at once.
import { ask, bodySchema, get } from "./api.js";
import { showBatch } from "./batch.js";
import { quoted } from "./curl.js";
import { announce, h } from "./dom.js";
import { ago, count, plural } from "./format.js";
import { modelChoice } from "./models.js";
import { statusBadge } from "./parts.js";
import { ACCEPTED, SAMPLES, base64, dropZone, sample } from "./pictures.js";
import { guarded } from "./problems.js";

const MOST = 1024; // pictures in one request
const HEAVIEST = 7 * 1024 * 1024; // characters of base64 in one request, of the 8 MiB that the service takes
const FILES = ".csv,.zip,.gz,.idx,application/zip,text/csv";

/** `ids` is empty, or the ids of batches that belong together, with commas between. */
export function show(outlet, ids, signal) {
  if (ids) return showBatch(outlet, ids.split(","), signal);
  const trouble = h("div", { "aria-live": "polite" });
  const model = modelChoice(signal);
  const begin = (files) => guarded(trouble, () => start(files, model.value, trouble, signal));
  const bring = h(
    "section",
    { class: "card stack", "aria-label": "New batch" },
    dropZone({
      id: "files",
      title: "Choose many pictures",
      hint: "or drop them here, as many as you like",
      accept: ACCEPTED,
      multiple: true,
      take: begin,
      signal,
    }),
    h(
      "div",
      { class: "row" },
      h(
        "button",
        { type: "button", onclick: async () => begin(await Promise.all(SAMPLES.map(sample))) },
        "Try the ten samples",
      ),
    ),
    model.element,
    trouble,
  );
  const recent = h("div", {}, h("p", { class: "soft" }, "Looking…"));
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("h1", {}, "Many pictures at once"),
      h("p", {}, "All of them are answered by the same model version. A picture that cannot be read fails alone."),
    ),
    h("div", { class: "columns" }, bring, h("section", { class: "card" }, h("h2", {}, "Recent batches"), recent)),
  );
  guarded(trouble, () => offerFiles(bring, begin, signal));
  guarded(recent, () => list(recent, signal));
}

/** CSV, IDX and ZIP files are taken as they are, where the service says that it takes forms. */
async function offerFiles(bring, begin, signal) {
  const takesForms = Boolean(await bodySchema("/v1/batches", "multipart/form-data"));
  const hint = bring.querySelector("#files-hint");
  if (takesForms) {
    bring.querySelector("#files").accept += `,${FILES}`;
    hint.textContent += ", or a CSV, IDX or ZIP file";
  } else hint.textContent += ". This service takes pictures only, no CSV, IDX or ZIP files";
}

async function start(files, model, trouble, signal) {
  const tables = files.filter(({ name }) => /\.(csv|zip|gz|idx)$|ubyte$/i.test(name));
  if (tables.length) {
    trouble.replaceChildren(h("p", { class: "soft" }, `Sending ${tables[0].name}…`));
    const batch = await upload(tables, model, signal);
    location.hash = `#batches/${batch.id}`;
    return;
  }
  const ids = [];
  const names = [];
  for await (const chunk of chunks(files)) {
    trouble.replaceChildren(
      h("p", { class: "soft" }, `Sending: ${count(names.length)} of ${plural(files.length, "picture")}…`),
    );
    const body = { images: chunk.map(({ image }) => image), ...(model === "production" ? {} : { model }) };
    const batch = await ask("POST", "/v1/batches", { json: body, signal, shown: shellLoop(chunk, model) });
    const named = chunk.map(({ name }) => name);
    remember(batch.id, named);
    ids.push(batch.id);
    names.push(...named);
  }
  announce(`${plural(files.length, "picture")} sent.`);
  location.hash = `#batches/${ids.join(",")}`;
}

/** Read files into requests that the service takes. */
async function* chunks(files) {
  let chunk = [];
  let weight = 0;
  for (const file of files) {
    const image = await base64(file);
    if (chunk.length === MOST || (chunk.length && weight + image.length > HEAVIEST)) {
      yield chunk;
      [chunk, weight] = [[], 0];
    }
    chunk.push({ name: file.name, image });
    weight += image.length;
  }
  if (chunk.length) yield chunk;
}

/** A CSV, an IDX or a ZIP file; the labels of an IDX file are a file of their own, which is named so. */
async function upload(files, model, signal) {
  const labels = files.length > 1 ? files.find(({ name }) => /labels/.test(name)) : undefined;
  const file = files.find((each) => each !== labels);
  const parts = { file, ...(labels ? { labels } : {}), top_k: "1", ...(model === "production" ? {} : { model }) };
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) form.append(name, value);
  const words = Object.entries(parts).map(
    ([name, value]) => `-F ${quoted(`${name}=${value.name ? `@${value.name}` : value}`)}`,
  );
  return ask("POST", "/v1/batches", { form, signal, shown: words.join(" ") });
}

/** The service knows pictures by their place; their names stay in this tab. */
function remember(batch, names) {
  try {
    sessionStorage.setItem(batch, JSON.stringify(names));
  } catch {
    /* full: the places have to do */
  }
}

function shellLoop(chunk, model) {
  const ends = [...new Set(chunk.map(({ name }) => name.split(".").at(-1)))].map((end) => `*.${end}`).join(" ");
  const rest = model === "production" ? "" : `, "model": "${model}"`;
  const each = `printf '%s"%s"' "$s" "$(base64 -w0 "$f")"; s=', '`;
  return `--data @<(s='{"images": ['; for f in ${ends}; do ${each}; done; printf ']${rest}}')`;
}

async function list(place, signal) {
  const { items } = await get("/v1/batches?limit=20", { signal });
  if (!items.length) {
    place.replaceChildren(
      h("p", { class: "soft" }, "None yet. Batches are kept for a while after they ended, then forgotten."),
    );
    return;
  }
  place.replaceChildren(
    h(
      "ul",
      { class: "rows" },
      items.map(({ id, status, counts, created_at: at, model_version: version }) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: `#batches/${id}` },
            h("strong", {}, plural(counts.total, "picture")),
            h("span", { class: "soft" }, `${version}, ${ago(at)}${counts.failed ? `, ${counts.failed} failed` : ""}`),
          ),
          statusBadge(status),
        ),
      ),
    ),
  );
}
