// The card of one version, or of two side by side.
import { get, save } from "./api.js";
import { heatMap, reliabilityDiagram } from "./charts.js";
import { h } from "./dom.js";
import { compact, count, duration, percent } from "./format.js";
import { table } from "./parts.js";
import { guarded } from "./problems.js";

/** @param {string[]} names one or two versions */
export async function compare(place, names, signal) {
  const cards = await Promise.all(names.map((name) => get(`/v1/models/${encodeURIComponent(name)}`, { signal })));
  const title = cards.map(({ version }) => version).join(" and ");
  place.replaceChildren(
    ...[
      h("section", { class: "card stack" }, h("h2", {}, title), figures(cards), files(cards)),
      ...pair(cards, "Reliability", (card) => {
        const bins = card.calibration?.reliability;
        return bins?.length ? reliabilityDiagram(`How sure ${card.version} is, and how often it is right`, bins) : null;
      }),
      ...pair(cards, "Confusion on the test images", (card) => {
        const matrix = (card.metrics?.test ?? card.metrics?.validation)?.confusion_matrix;
        return matrix ? heatMap(`Confusion matrix of ${card.version}`, card.classes, matrix) : null;
      }),
      ...pair(cards, "By class, on the test images", classes),
    ].filter(Boolean),
  );
}

/** A section with the same of each card beside each other, where there is anything to show. */
function pair(cards, title, draw) {
  const drawn = cards.map((card) => [card.version, draw(card)]).filter(([, node]) => node);
  if (!drawn.length) return [];
  return [
    h(
      "section",
      { class: "card" },
      h("h2", {}, title),
      h(
        "div",
        { class: cards.length > 1 ? "columns even" : "" },
        drawn.map(([version, node]) => h("div", {}, cards.length > 1 ? h("h3", {}, version) : null, node)),
      ),
    ),
  ];
}

function figures(cards) {
  const share = (digits) => (value) => percent(value, digits);
  const rows = [
    ["Accuracy on test", ({ test }) => test?.accuracy, share(2), 1],
    ["Accuracy on validation", ({ validation }) => validation?.accuracy, share(2), 1],
    ["Loss on test", ({ test }) => test?.loss, (value) => value.toFixed(3), -1],
    ["Calibration error on test", ({ test }) => test?.ece, share(2), -1],
    ["Parameters", ({ parameters }) => parameters, compact, 0],
    ["Multiply-accumulates", ({ macs }) => macs, compact, 0],
    ["Network", ({ network }) => network, String, 0],
    ["Trained for", (card) => card.training_seconds, duration, 0],
    ["Epochs", (card) => card.training_spec?.epochs, String, 0],
    ["Data", (card) => card.data?.name, String, 0],
  ];
  const head = ["Figure", ...cards.map(({ version }) => version), ...(cards.length > 1 ? ["Difference"] : [])];
  return table(
    "Figures",
    head,
    rows.map(([name, of, text, direction]) => {
      const values = cards.map(of);
      const cells = values.map((value) => (value === undefined ? "–" : text(value)));
      return [name, ...cells, ...(cards.length > 1 ? [difference(values, direction, name)] : [])];
    }),
  );
}

/** The second less the first, and whether that is better. */
function difference([first, second], direction, name) {
  if (typeof first !== "number" || typeof second !== "number" || !direction || first === second) return "";
  const change = second - first;
  const text = name.startsWith("Loss") ? change.toFixed(3) : `${(100 * change).toFixed(2)} points`;
  return h(
    "span",
    { class: change * direction > 0 ? "well" : "ill" },
    change > 0 ? `+${text}` : text.replace("-", "−"),
  );
}

function files(cards) {
  const trouble = h("div");
  const buttons = h(
    "div",
    { class: "row" },
    cards.flatMap(({ version }) =>
      ["keras", "litert"].map((kind) =>
        h(
          "button",
          { type: "button", onclick: () => guarded(trouble, () => save(`/v1/models/${version}/artifacts/${kind}`)) },
          `Download ${cards.length > 1 ? `${version} ` : ""}${kind === "keras" ? "Keras" : "LiteRT"}`,
        ),
      ),
    ),
  );
  return h("div", { class: "stack" }, buttons, trouble);
}

function classes(card) {
  const rows = card.metrics?.test?.per_class;
  return rows
    ? table(
        `Classes of ${card.version}`,
        ["Class", "Precision", "Recall", "Images"],
        rows.map(({ label, precision, recall, images }) => [label, percent(precision), percent(recall), count(images)]),
      )
    : null;
}
