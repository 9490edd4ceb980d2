// Training jobs and tuning jobs: start one, and see which there are.
import { ask, bodySchema, get } from "./api.js";
import { h } from "./dom.js";
import { schemaForm } from "./form.js";
import { ago, percent } from "./format.js";
import { showJob } from "./job.js";
import { statusBadge } from "./parts.js";
import { guarded, notice } from "./problems.js";
import { showTuning, tuningForm, tuningList } from "./tuning.js";

const QUICK = { fraction: 0.1, epochs: 3 };

/** `argument`: nothing, `tuning`, or the id of a training or tuning job. */
export function show(outlet, argument, signal) {
  if (argument.startsWith("job_")) return showJob(outlet, argument, signal);
  if (argument.startsWith("tune_")) return showTuning(outlet, argument, signal);
  const isTuning = argument === "tuning";
  const form = h("section", { class: "card", "aria-label": isTuning ? "New search" : "New training job" });
  const list = h("section", { class: "card" });
  const tab = (href, text, isHere) => h("a", { href, ...(isHere ? { "aria-current": "page" } : {}) }, text);
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("h1", {}, isTuning ? "Find better settings" : "Train a new version"),
      h(
        "p",
        {},
        isTuning
          ? "Many short trials with different settings; hopeless ones end early, the best can be trained in full."
          : "A job trains a network and publishes it as a new version of the model. It survives its worker.",
      ),
      h(
        "nav",
        { class: "tabs", "aria-label": "Kinds of jobs" },
        tab("#training", "Training", !isTuning),
        tab("#training/tuning", "Tuning", isTuning),
      ),
    ),
    h("div", { class: "columns" }, form, list),
  );
  guarded(form, () => (isTuning ? tuningForm(form, signal) : trainingForm(form, signal)));
  guarded(list, () => (isTuning ? tuningList(list, signal) : jobList(list, signal)));
}

async function trainingForm(place, signal) {
  const [schema, datasets, models, aliases] = await Promise.all([
    bodySchema("/v1/training-jobs"),
    get("/v1/datasets?limit=100", { quiet: true, signal }),
    get("/v1/models?limit=100", { quiet: true, signal }),
    get("/v1/aliases", { quiet: true, signal }),
  ]);
  const form = schemaForm(schema, {
    main: ["epochs", "fraction", "network", "dataset", "promote"],
    choices: {
      dataset: ["fashion-mnist", ...datasets.items.map(({ id }) => id)],
      base_version: ["", ...aliases.items.map(({ alias }) => alias), ...models.items.map(({ version }) => version)],
    },
  });
  const trouble = h("div");
  const send = async (event) => {
    event.preventDefault();
    trouble.replaceChildren();
    form.point([]);
    try {
      const job = await ask("POST", "/v1/training-jobs", { json: form.values(), signal });
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
      h("h2", {}, "New job"),
      h("p", { class: "soft" }, "Leave a field empty for its default."),
      form.element,
      trouble,
      h(
        "div",
        { class: "row" },
        h("button", { class: "primary" }, "Start training"),
        h("button", { type: "button", onclick: () => form.fill(QUICK) }, "Fill in a quick try"),
      ),
    ),
  );
}

async function jobList(place, signal) {
  const { items } = await get("/v1/training-jobs?limit=20", { signal });
  place.replaceChildren(
    h("h2", {}, "Jobs"),
    items.length
      ? h("ul", { class: "rows" }, items.map(jobRow))
      : h("p", { class: "soft" }, "None yet. A quick try takes a minute or two."),
  );
}

function jobRow({ id, status, spec, history, result, created_at: at }) {
  const best = history.at(-1)?.val_accuracy;
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#training/${id}` },
      h("strong", {}, result ? `${spec.network} → ${result.model_version}` : spec.network),
      h(
        "span",
        { class: "soft" },
        [
          spec.description,
          `${history.length} of ${spec.epochs} epochs`,
          best === undefined ? "" : percent(best),
          ago(at),
        ]
          .filter(Boolean)
          .join(", "),
      ),
    ),
    statusBadge(status),
  );
}
