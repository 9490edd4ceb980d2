// One batch, or several that belong together: progress, then a row for each picture.
import { CLASSES } from "./answer.js";
import { ask, follow, get, isFinal } from "./api.js";
import { heatMap } from "./charts.js";
import { agree } from "./dialog.js";
import { announce, download, h } from "./dom.js";
import { count, percent, plural } from "./format.js";
import { choice, statusBadge } from "./parts.js";
import { guarded } from "./problems.js";

const PAGE = 50; // rows that are shown at a time
export function showBatch(outlet, ids, signal) {
  const meter = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const line = h("p", {});
  const actions = h("div", { class: "row" });
  const body = h("div", { class: "stack" });
  const trouble = h("div");
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("p", { class: "back" }, h("a", { href: "#batches" }, "Batches")),
      h("h1", {}, "A batch"),
    ),
    h("section", { class: "card stack", "aria-label": "Progress" }, meter, line, actions, trouble),
    body,
  );
  const batches = [];
  const update = () => {
    overview(meter, line, batches);
    buttons(actions, trouble, batches);
  };
  guarded(body, async () => {
    await Promise.all(
      ids.map((id, i) =>
        follow(
          `/v1/batches/${id}`,
          (batch) => {
            batches[i] = batch;
            update();
          },
          signal,
        ),
      ),
    );
    if (signal.aborted) return;
    announce("The batch has ended.");
    outlet.querySelector("h1").textContent = plural(
      batches.reduce((sum, { counts }) => sum + counts.total, 0),
      "picture",
    );
    body.replaceChildren(...[measured(batches), await results(batches, signal)].filter(Boolean));
  });
}

function overview(meter, line, batches) {
  const known = batches.filter(Boolean);
  const sum = (name) => known.reduce((total, { counts }) => total + counts[name], 0);
  const total = sum("total");
  const done = sum("succeeded") + sum("failed") + sum("canceled");
  meter.value = done / total;
  const parts = [
    [sum("succeeded"), "answered"],
    [sum("failed"), "failed"],
    [sum("canceled"), "canceled"],
    [total - done, "to go"],
  ];
  line.textContent = `${parts
    .filter(([number]) => number)
    .map(([number, word]) => `${count(number)} ${word}`)
    .join(", ")}; by ${known[0].model_version}.`;
}

function buttons(place, trouble, batches) {
  const known = batches.filter(Boolean);
  const open = known.filter((batch) => !isFinal(batch));
  const all = (method, path, which) =>
    guarded(trouble, () => Promise.all(which.map(({ id }) => ask(method, `/v1/batches/${id}${path}`))));
  if (place.dataset.open === String(open.length > 0)) return;
  place.dataset.open = String(open.length > 0);
  place.replaceChildren(
    open.length
      ? h("button", { type: "button", onclick: () => all("POST", "/cancel", open) }, "Cancel")
      : h(
          "button",
          {
            type: "button",
            class: "quiet",
            onclick: async () => {
              if (!(await agree("Forget this batch?", "The pictures and all answers are deleted now.", "Forget")))
                return;
              await all("DELETE", "", known);
              location.hash = "#batches";
            },
          },
          "Forget this batch",
        ),
  );
}

/** Accuracy and confusion where labels came along. */
function measured(batches) {
  const result = batches.length === 1 ? batches[0].result : null;
  if (result?.accuracy === undefined) return null;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, `${percent(result.accuracy)} as labelled`),
    result.confusion_matrix ? heatMap("Confusion matrix", CLASSES, result.confusion_matrix) : null,
  );
}

async function results(batches, signal) {
  const rows = [];
  for (const { id } of batches) {
    const names = JSON.parse(sessionStorage.getItem(id) ?? "[]");
    const text = await get(`/v1/batches/${id}/results`, { signal });
    for (const item of text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))) {
      rows.push({ ...item, name: item.name ?? names[item.index] ?? `no. ${rows.length + 1}` });
    }
  }
  const isWrong = ({ result, expected }) => result && expected && result.label !== expected;
  const isUnusual = ({ result }) => result && !result.is_fashion;
  const kinds = {
    [`All ${count(rows.length)}`]: rows,
    [`Failed ${count(rows.filter(({ result }) => !result).length)}`]: rows.filter(({ result }) => !result),
    [`Unusual ${count(rows.filter(isUnusual).length)}`]: rows.filter(isUnusual),
    ...(rows.some(({ expected }) => expected)
      ? { [`Wrong ${count(rows.filter(isWrong).length)}`]: rows.filter(isWrong) }
      : {}),
  };
  const place = h("div");
  const show = (chosen) => place.replaceChildren(...resultTable(chosen));
  show(rows);
  return h(
    "section",
    { class: "card stack" },
    h(
      "div",
      { class: "row spread" },
      choice("Which rows", kinds, Object.keys(kinds)[0], show),
      h("button", { type: "button", onclick: () => download("hemline.csv", csv(rows)) }, "Download CSV"),
    ),
    summary(rows),
    place,
  );
}

/** How many of each class. */
function summary(rows) {
  const counts = new Map();
  for (const { result } of rows) if (result) counts.set(result.label, (counts.get(result.label) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return h("p", { class: "soft" }, sorted.map(([label, number]) => `${label} ${count(number)}`).join(" · "));
}

function resultTable(rows) {
  if (!rows.length) return [h("p", { class: "soft" }, "No rows of that kind.")];
  const body = h("tbody");
  const hasPictures = rows.some(({ result }) => result?.preview); // those of files are not kept
  const more = h("button", { type: "button", onclick: () => add() });
  const add = () => {
    const from = body.children.length;
    body.append(...rows.slice(from, from + PAGE).map((each) => row(each, hasPictures)));
    more.hidden = body.children.length === rows.length;
    more.textContent = `Show ${Math.min(PAGE, rows.length - body.children.length)} more of ${count(rows.length)}`;
  };
  add();
  const head = [...(hasPictures ? ["Picture"] : []), "Name", "Answer", "Sure"].map((name) =>
    h("th", { scope: "col" }, name),
  );
  return [
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Answers" },
      h(
        "table",
        { class: "results" },
        h("caption", { class: "hidden" }, "Answers"),
        h("thead", {}, h("tr", {}, head)),
        body,
      ),
    ),
    more,
  ];
}

function row({ name, status, result, error, expected }, hasPictures) {
  const image = result?.preview
    ? h("img", { class: "pixels", src: result.preview, alt: "", width: 28, height: 28 })
    : null;
  const said = result
    ? [
        h("strong", {}, result.label),
        result.is_fashion ? null : h("span", { class: "badge odd" }, "unusual"),
        expected && expected !== result.label ? h("span", { class: "soft block" }, `labelled ${expected}`) : null,
        result.warnings.map(({ detail }) => h("span", { class: "soft block" }, detail)),
      ]
    : [statusBadge(status), h("span", { class: "soft block" }, error?.detail ?? "")];
  return h(
    "tr",
    {},
    hasPictures ? h("td", { class: "picture" }, image) : null,
    h("th", { scope: "row" }, name),
    h("td", {}, said.flat()),
    h("td", { class: "figure" }, result ? percent(result.confidence) : ""),
  );
}

/** The rows as RFC 4180 wants them. */
function csv(rows) {
  const head = ["index", "file", "status", "label", "class_id", "confidence", "is_fashion", "novelty", "error"];
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = rows.map(({ name, status, result, error }, index) =>
    [
      index,
      name,
      status,
      result?.label,
      result?.class_id,
      result?.confidence,
      result?.is_fashion,
      result?.novelty,
      error?.detail,
    ].map((value) => cell(String(value ?? ""))),
  );
  return new Blob([[head, ...lines].map((line) => `${line.join(",")}\r\n`).join("")], { type: "text/csv" });
}
