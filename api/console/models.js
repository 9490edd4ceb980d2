// Versions of the model: which there are, which is in use, and how two of them differ.
import { ask, get } from "./api.js";
import { agree } from "./dialog.js";
import { announce, h } from "./dom.js";
import { ago, compact, percent } from "./format.js";
import { guarded } from "./problems.js";
import { compare } from "./versions.js";

/** A select of all aliases and versions; `value` is what was chosen. */
export function modelChoice(signal) {
  const input = h("select", { id: "model" }, h("option", { value: "production" }, "production"));
  const element = h("div", { class: "field inline" }, h("label", { htmlFor: "model" }, "Answered by"), input);
  const load = async () => {
    const [aliases, models] = await Promise.all([
      get("/v1/aliases", { quiet: true, signal }),
      get("/v1/models?limit=100", { quiet: true, signal }),
    ]);
    const options = [
      ...aliases.items.map(({ alias, version }) => [alias, `${alias} (${version})`]),
      ...models.items.map(({ version, network }) => [version, `${version}, ${network}`]),
    ];
    input.replaceChildren(
      ...options.map(([value, text]) => h("option", { value, selected: value === "production" }, text)),
    );
  };
  load().catch(() => {}); // production is there without asking
  return {
    element,
    get value() {
      return input.value;
    },
  };
}

/** `chosen`: nothing, a version, or two with a comma between. */
export function show(outlet, chosen, signal) {
  const list = h("section", { class: "card", "aria-label": "Versions" }, h("p", { class: "soft" }, "Looking…"));
  const detail = h("div", { class: "stack" });
  const past = h("section", { class: "card" });
  const trouble = h("div", { "aria-live": "polite" });
  const picked = chosen.split(",").filter(Boolean).slice(0, 2);
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("h1", {}, "Models"),
      h(
        "p",
        {},
        "Every version that was published, with everything that was measured of it. Tick two to compare them.",
      ),
    ),
    list,
    trouble,
    detail,
    past,
  );
  const refresh = () =>
    Promise.all([
      guarded(list, () => versions(list, picked, { trouble, refresh, signal })),
      guarded(past, () => moves(past, { trouble, refresh, signal })),
    ]);
  refresh();
  guarded(detail, () => compare(detail, picked.length ? picked : ["production"], signal));
}

async function versions(place, picked, { trouble, refresh, signal }) {
  const { items } = await get("/v1/models?limit=100", { signal });
  if (!items.length) {
    place.replaceChildren(
      h("h2", {}, "No version yet"),
      h("p", {}, "Train one: ", h("a", { href: "#training" }, "start a job"), "."),
    );
    return;
  }
  const best = Math.max(...items.map(({ test }) => test?.accuracy ?? 0));
  const act = (verb) => () =>
    guarded(trouble, async () => {
      await verb();
      await refresh();
    });
  place.replaceChildren(
    h(
      "ul",
      { class: "versions" },
      items.map((model) => {
        const { version, aliases } = model;
        const isProduction = aliases.includes("production");
        const box = h("input", {
          type: "checkbox",
          checked: picked.includes(version),
          "aria-label": `Compare ${version}`,
          onchange: () => pick(version, picked),
        });
        return h(
          "li",
          {},
          h(
            "div",
            { class: "name" },
            box,
            h("a", { href: `#models/${version}` }, version),
            aliases.map((alias) => h("span", { class: "badge alias" }, alias)),
            h("span", { class: "soft block" }, `${model.network}, ${ago(model.created_at)}`),
          ),
          h(
            "dl",
            { class: "metrics" },
            metric("Test", model.test ? percent(model.test.accuracy, 2) : "–", model.test?.accuracy === best),
            metric("Validation", model.validation ? percent(model.validation.accuracy, 2) : "–"),
            metric("Calibration error", model.test?.ece === undefined ? "–" : percent(model.test.ece, 2)),
            metric("Parameters", compact(model.parameters)),
            metric("MACs", compact(model.macs)),
          ),
          h(
            "div",
            { class: "row" },
            isProduction
              ? null
              : h(
                  "button",
                  { type: "button", onclick: act(() => promote(version)), "aria-label": `Promote ${version}` },
                  "Promote",
                ),
            aliases.length
              ? null
              : h(
                  "button",
                  {
                    type: "button",
                    class: "quiet",
                    onclick: act(() => remove(version)),
                    "aria-label": `Delete ${version}`,
                  },
                  "Delete",
                ),
          ),
        );
      }),
    ),
  );
}

const metric = (name, value, isBest) =>
  h("div", {}, h("dt", {}, name), h("dd", { class: isBest ? "best" : "" }, value));

function pick(version, picked) {
  const next = picked.includes(version) ? picked.filter((each) => each !== version) : [...picked, version].slice(-2);
  location.hash = `#models${next.length ? "/" : ""}${next.join(",")}`;
}

async function promote(version) {
  await ask("PUT", "/v1/aliases/production", { json: { version } });
  announce(`${version} is production now.`);
}

async function remove(version) {
  if (!(await agree(`Delete ${version}?`, "Its files and its card are deleted for good.", "Delete"))) return;
  await ask("DELETE", `/v1/models/${version}`);
  announce(`${version} is deleted.`);
  if (location.hash.includes(version)) location.hash = "#models";
}

/** The history of production, with the way back. */
async function moves(place, { trouble, refresh, signal }) {
  const { items } = await get("/v1/aliases/production/history", { quiet: true, signal });
  const before = items[0]?.from_version;
  const back = () =>
    guarded(trouble, async () => {
      await promote(before);
      await refresh();
    });
  place.replaceChildren(
    h(
      "div",
      { class: "row spread" },
      h("h2", {}, "Production so far"),
      before ? h("button", { type: "button", id: "roll-back", onclick: back }, `Roll back to ${before}`) : null,
    ),
    h(
      "ol",
      { class: "moves" },
      items.map(({ at, by, from_version: from, to_version: to }) =>
        h(
          "li",
          {},
          h("strong", {}, from ? `${from} → ${to}` : to),
          h("span", { class: "soft" }, `${ago(at)}, by ${by}`),
        ),
      ),
    ),
  );
}
