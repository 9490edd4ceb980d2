// Tuning jobs: a short form, the list, and one job with its trials.
import { ask, bodySchema, follow, get, isFinal } from "./api.js";
import { h } from "./dom.js";
import { schemaForm } from "./form.js";
import { ago, percent, plural } from "./format.js";
import { statusBadge, table } from "./parts.js";
import { guarded, notice } from "./problems.js";

export async function tuningForm(place, signal) {
  const schema = await bodySchema("/v1/tuning-jobs");
  const searched = ["learning_rate", "batch_size"];
  const form = schemaForm(schema, {
    main: ["trials", "epochs", "fraction", "network"],
    without: ["search_space", "hyperparameters", ...searched],
  });
  const number = (id, text, value) => [
    id,
    h(
      "div",
      { class: "field" },
      h("label", { htmlFor: id }, text),
      h("input", { id, type: "number", step: "any", min: 0.000001, max: 10, required: true, value }),
    ),
  ];
  const ranges = new Map([number("low", "Learning rate from", "0.01"), number("high", "to", "0.5")]);
  const sizes = h(
    "div",
    { class: "field" },
    h("label", { htmlFor: "sizes" }, "Batch sizes"),
    h("input", { id: "sizes", type: "text", value: "64, 128, 256", required: true, pattern: "[0-9]+([ ,]+[0-9]+)*" }),
  );
  const trouble = h("div");
  const value = (id) => Number(place.querySelector(`#${id}`).value);
  const send = async (event) => {
    event.preventDefault();
    trouble.replaceChildren();
    form.point([]);
    const search = {
      learning_rate: { low: value("low"), high: value("high"), log: true },
      batch_size: { choices: place.querySelector("#sizes").value.split(/[ ,]+/).map(Number) },
    };
    try {
      const job = await ask("POST", "/v1/tuning-jobs", { json: { ...form.values(), search_space: search }, signal });
      location.hash = `#training/${job.id}`;
    } catch (problem) {
      const errors = problem.document?.errors ?? [];
      if (!errors.length || form.point(errors).length) trouble.replaceChildren(notice(problem));
    }
  };
  place.replaceChildren(
    h(
      "form",
      { class: "stack", onsubmit: send },
      h("h2", {}, "New search"),
      h(
        "p",
        { class: "soft" },
        "Searches the learning rate and the batch size; the API can search every other setting too.",
      ),
      h("div", { class: "fields" }, ...ranges.values(), sizes),
      form.element,
      trouble,
      h("div", { class: "row" }, h("button", { class: "primary" }, "Start the search")),
    ),
  );
}

export async function tuningList(place, signal) {
  const { items } = await get("/v1/tuning-jobs?limit=20", { signal });
  place.replaceChildren(
    h("h2", {}, "Searches"),
    items.length
      ? h(
          "ul",
          { class: "rows" },
          items.map(({ id, status, spec, progress, created_at: at }) =>
            h(
              "li",
              {},
              h(
                "a",
                { href: `#training/${id}` },
                h("strong", {}, spec.description ?? spec.network ?? "A search"),
                h("span", { class: "soft" }, `${progress.done} of ${plural(progress.total, "trial")}, ${ago(at)}`),
              ),
              statusBadge(status),
            ),
          ),
        )
      : h("p", { class: "soft" }, "None yet."),
  );
}

export function showTuning(outlet, id, signal) {
  const state = h("section", { class: "card stack", "aria-label": "State" });
  const trials = h("section", { class: "card", "aria-label": "Trials" });
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("p", { class: "back" }, h("a", { href: "#training/tuning" }, "Tuning")),
      h("h1", {}, "A search"),
    ),
    state,
    trials,
  );
  guarded(trials, () =>
    follow(
      `/v1/tuning-jobs/${id}`,
      async (job) => {
        render(state, job);
        const { items } = await get(`/v1/tuning-jobs/${id}/trials`, { quiet: true, signal });
        trials.replaceChildren(h("h2", {}, "Trials"), trialTable(items));
      },
      signal,
    ),
  );
}

function render(place, job) {
  const trouble = h("div");
  const act = (path, then) => () =>
    guarded(trouble, async () => then(await ask("POST", `/v1/tuning-jobs/${job.id}/${path}`)));
  const { progress, status } = job;
  place.replaceChildren(
    ...[
      h(
        "div",
        { class: "row spread" },
        statusBadge(status),
        h("span", { class: "soft" }, `${progress.done} of ${plural(progress.total, "trial")}`),
      ),
      h("progress", { max: 1, value: progress.fraction, "aria-label": "Progress" }),
      job.error
        ? h("div", { class: "notice bad" }, h("p", { class: "what" }, "It failed"), h("p", {}, job.error.detail))
        : null,
      h(
        "div",
        { class: "row" },
        isFinal(job) ? null : h("button", { type: "button", onclick: act("cancel", () => {}) }, "Cancel"),
        h(
          "button",
          {
            type: "button",
            class: "primary",
            disabled: !progress.done,
            onclick: act("train-best", ({ id }) => {
              location.hash = `#training/${id}`;
            }),
          },
          "Train the best in full",
        ),
      ),
      trouble,
    ].filter(Boolean),
  );
}

function trialTable(items) {
  const best = Math.max(...items.map(({ status, value }) => (status === "succeeded" ? value : 0)));
  const words = (parameters = {}) =>
    Object.entries(parameters)
      .map(
        ([name, value]) =>
          `${name.replaceAll("_", " ")} ${typeof value === "number" ? Number(value.toPrecision(3)) : value}`,
      )
      .join(", ");
  return table(
    "Trials",
    ["Trial", "State", "Accuracy on validation", "Epochs", "Settings"],
    items.map((trial) => [
      String(trial.number + 1),
      statusBadge(trial.status),
      trial.value === undefined ? "" : h(trial.value === best ? "strong" : "span", {}, percent(trial.value)),
      String(trial.epochs),
      words(trial.parameters),
    ]),
  );
}
