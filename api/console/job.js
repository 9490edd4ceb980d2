// One training job, live.
import { ask, get, isFinal } from "./api.js";
import { epochLines } from "./charts.js";
import { announce, h } from "./dom.js";
import { events } from "./events.js";
import { duration, percent, plural } from "./format.js";
import { statusBadge, table } from "./parts.js";
import { guarded } from "./problems.js";

const LAST = ["succeeded", "failed", "canceled"];

export function showJob(outlet, id, signal) {
  const state = h("section", { class: "card stack", "aria-label": "State" });
  const curves = h("section", { class: "card columns even", "aria-label": "Curves" });
  const spec = h("section", { class: "card" });
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("p", { class: "back" }, h("a", { href: "#training" }, "Training")),
      h("h1", {}, "A training job"),
    ),
    state,
    curves,
    spec,
  );
  guarded(state, () => live(id, state, curves, spec, outlet.querySelector("h1"), signal));
}

async function live(id, state, curves, spec, heading, signal) {
  let job = await get(`/v1/training-jobs/${id}`, { signal });
  const rows = new Map(job.history.map((row) => [row.epoch, row])); // a stream tells everything from the beginning
  const series = (...names) =>
    names.map(([name, field]) => ({ name, values: [...rows.values()].map((row) => row[field]) }));
  const losses = () => series(["training", "loss"], ["validation", "val_loss"]);
  const accuracies = () => series(["training", "accuracy"], ["validation", "val_accuracy"]);
  const loss = epochLines("Loss", losses(), job.spec.epochs, (value) => value.toFixed(2));
  const accuracy = epochLines("Accuracy", accuracies(), job.spec.epochs, percent, (share) => percent(share, 0));
  heading.textContent = job.spec.description || `Training ${job.spec.network}`;
  curves.replaceChildren(loss.element, accuracy.element);
  spec.replaceChildren(
    h(
      "details",
      {},
      h("summary", {}, "All settings of this job"),
      table(
        "Settings",
        ["Setting", "Value"],
        Object.entries(job.spec).map(([name, value]) => [
          name.replaceAll("_", " "),
          typeof value === "object" ? JSON.stringify(value) : String(value),
        ]),
      ),
    ),
  );
  const render = () =>
    renderState(state, job, rows.size, async () => {
      job = await ask("POST", `/v1/training-jobs/${id}/cancel`);
      render();
    });
  render();

  /** What an event says; events may come twice. Gives whether it is the last. */
  const told = async (type, data) => {
    if (type === "progress") job = { ...job, status: "running", progress: data };
    else if (type === "epoch") {
      rows.set(data.epoch, data);
      loss.update(losses());
      accuracy.update(accuracies());
    } else job = await get(`/v1/training-jobs/${id}`, { quiet: true, signal });
    render();
    if (!LAST.includes(type)) return false;
    announce(`The job has ${type}.`);
    return true;
  };
  if (!isFinal(job)) await events(`/v1/training-jobs/${id}/events`, told, signal);
}

function renderState(place, job, epochs, cancel) {
  const { progress, result, error, status } = job;
  const trouble = h("div");
  const meter = h("progress", { max: 1, "aria-label": "Progress" });
  if (status !== "queued") meter.value = status === "succeeded" ? 1 : (progress?.fraction ?? 0);
  place.replaceChildren(
    ...[
      h(
        "div",
        { class: "row spread" },
        statusBadge(status),
        h("span", { class: "soft" }, `${epochs} of ${plural(job.spec.epochs, "epoch")}`),
      ),
      status === "succeeded" ? null : meter,
      h("p", {}, sentence(job)),
      error
        ? h("div", { class: "notice bad" }, h("p", { class: "what" }, "It failed"), h("p", {}, error.detail))
        : null,
      result ? outcome(result) : null,
      trouble,
      isFinal(job)
        ? null
        : h(
            "div",
            { class: "row" },
            h(
              "button",
              { type: "button", disabled: Boolean(job.cancel_requested), onclick: () => guarded(trouble, cancel) },
              job.cancel_requested ? "Being canceled…" : "Cancel the job",
            ),
          ),
    ].filter(Boolean),
  );
}

function sentence({ status, progress, cancel_requested: isEnding }) {
  if (isEnding && status === "running") return "It ends at its next step.";
  if (status === "queued") return "Waiting for a training worker.";
  if (status === "running" && progress?.phase === "publishing")
    return "Trained. Measuring and publishing the new version.";
  if (status === "running" && progress?.epoch) {
    const left = progress.eta_seconds === undefined ? "" : `, ${duration(progress.eta_seconds)} to go`;
    return `Epoch ${progress.epoch}, step ${progress.step} of ${progress.steps}${left}.`;
  }
  return (
    {
      running: "A worker has it. The first time it loads TensorFlow, which takes a while.",
      succeeded: "Trained, measured and published.",
      canceled: "It was canceled.",
      failed: "",
    }[status] ?? ""
  );
}

function outcome({ model_version: version, promoted, metrics }) {
  const measured = Object.entries(metrics).filter(([, value]) => value?.accuracy !== undefined);
  return h(
    "div",
    { class: "notice good" },
    h("p", { class: "what" }, "It made ", h("a", { href: `#models/${version}` }, version)),
    h(
      "p",
      {},
      measured.map(([name, { accuracy }]) => `${percent(accuracy)} on ${name}`).join(", "),
      promoted ? ". It is production now." : ". It is not production; promote it under Models.",
    ),
  );
}
