// What views are made of.
import { h } from "./dom.js";

const WORDS = {
  queued: "waiting",
  running: "running",
  succeeded: "done",
  failed: "failed",
  canceled: "canceled",
  pruned: "given up",
};

/** A state in a word. */
export const statusBadge = (status) => h("span", { class: `badge ${status}` }, WORDS[status] ?? status);

/** Radio buttons in a row. */
export function choice(legend, values, chosen, change) {
  const name = `choice-${legend.toLowerCase().replaceAll(" ", "-")}`;
  return h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "hidden" }, legend),
    Object.entries(values).map(([text, value]) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name, value: text, checked: text === chosen, onchange: () => change(value) }),
        h("span", {}, text),
      ),
    ),
  );
}

/** A table; cells are texts or nodes, the first of each row is its header. */
export function table(caption, head, rows) {
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((cell) => h("th", { scope: "col" }, cell)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, first),
            rest.map((cell) => h("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

/** The same figures for those who cannot see the picture, folded away. */
export function asTable(caption, head, rows) {
  return h("details", { class: "figures" }, h("summary", {}, "The figures"), table(caption, head, rows));
}
