// Charts drawn by hand, each readable without seeing it.
import { freshId, h, svg } from "./dom.js";
import { count, percent } from "./format.js";
import { asTable } from "./parts.js";

/** How probable each class is, the first first. @param {{label: string, probability: number}[]} probabilities */
export function probabilityBars(probabilities) {
  return h(
    "ol",
    { class: "bars" },
    probabilities.map(({ label, probability }, place) => {
      const bar = h("span", { class: "bar" });
      bar.style.setProperty("--share", probability);
      return h(
        "li",
        { class: place ? "" : "first" },
        h("span", {}, label),
        bar,
        h("span", { class: "figure" }, percent(probability)),
      );
    }),
  );
}

/** A chart that is drawn anew for the width that it gets, so that its letters are never scaled. */
function fluid(draw) {
  const place = h("div", { class: "plot" });
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (Math.abs(contentRect.width - width) < 1) return;
    width = contentRect.width;
    place.replaceChildren(draw(width));
  }).observe(place);
  return {
    place,
    redraw: () => {
      if (width) place.replaceChildren(draw(width));
    },
  };
}

/** The frame of a chart: title for screen readers, grid, and scales from data to pixels. */
function frame(title, description, { width, height, x, y, xTicks, yTicks, xText = String, yText, xName }) {
  const [left, right, top, bottom] = [52, 22, 10, 38];
  const [id, about] = [freshId("title"), freshId("about")];
  const toX = (value) => left + ((value - x[0]) / (x[1] - x[0] || 1)) * (width - left - right);
  const toY = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0] || 1)) * (height - top - bottom);
  const node = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": `${id} ${about}` },
    svg("title", { id }, title),
    svg("desc", { id: about }, description),
    yTicks.map((value) => svg("line", { class: "grid", x1: left, x2: width - right, y1: toY(value), y2: toY(value) })),
    yTicks.map((value) =>
      svg("text", { class: "tick", x: left - 8, y: toY(value) + 4, "text-anchor": "end" }, yText(value)),
    ),
    xTicks.map((value) =>
      svg("text", { class: "tick", x: toX(value), y: height - bottom + 18, "text-anchor": "middle" }, xText(value)),
    ),
    svg("text", { class: "tick", x: width - right, y: height - 4, "text-anchor": "end" }, xName),
  );
  return { node, toX, toY };
}

/**
 * Lines over epochs. `series`: `[{name, values}]`, a value per epoch from 1; `epochs`: how many there will be.
 * `text` and `tickText` write a value in words and at the axis. Gives `{element, update(series)}`.
 */
export function epochLines(title, series, epochs, text, tickText = text) {
  let now = series;
  const { place, redraw } = fluid((width) => lines(title, now, epochs, text, tickText, width));
  const figures = h("div");
  const element = h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      {},
      h("strong", {}, title),
      h(
        "span",
        { class: "legend" },
        series.map(({ name }, i) => h("span", { class: `key series-${i}` }, name)),
      ),
    ),
    place,
    figures,
  );
  const update = (next) => {
    now = next;
    redraw();
    const isOpen = figures.querySelector("details")?.open;
    figures.replaceChildren(
      asTable(
        title,
        ["Epoch", ...now.map(({ name }) => name)],
        now[0].values.map((_, i) => [String(i + 1), ...now.map(({ values }) => text(values[i]))]),
      ),
    );
    figures.querySelector("details").open = Boolean(isOpen);
  };
  update(series);
  return { element, update };
}

function lines(title, series, epochs, text, tickText, width) {
  const all = series.flatMap(({ values }) => values);
  const [low, high, step] = niceRange(all.length ? Math.min(...all) : 0, all.length ? Math.max(...all) : 1);
  const ends = Math.max(2, epochs, series[0].values.length);
  const yTicks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  const every = Math.ceil(ends / Math.max(2, Math.floor(width / 56)));
  const xTicks = Array.from({ length: ends }, (_, i) => i + 1).filter((epoch) => (epoch - 1) % every === 0);
  const last = series
    .map(({ name, values }) => (values.length ? `${name} ${text(values.at(-1))}` : ""))
    .filter(Boolean);
  const { node, toX, toY } = frame(
    title,
    `After epoch ${series[0].values.length}: ${last.join(", ") || "nothing yet"}.`,
    {
      width,
      height: 220,
      x: [1, ends],
      y: [low, high],
      xTicks,
      yTicks,
      yText: tickText,
      xName: "epoch",
    },
  );
  series.forEach(({ values }, i) => {
    const points = values.map((value, epoch) => `${toX(epoch + 1)},${toY(value)}`);
    if (points.length > 1) node.append(svg("polyline", { class: `line series-${i}`, points: points.join(" ") }));
    if (points.length) {
      const [cx, cy] = points.at(-1).split(",");
      node.append(svg("circle", { class: `dot series-${i}`, cx, cy, r: 4 }));
    }
  });
  return node;
}

/** Round ends and a round step around values. */
function niceRange(low, high) {
  const span = high - low || Math.abs(high) * 0.1 || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each * 4 >= span);
  const first = Math.floor(low / step + 1e-9) * step;
  return [first, Math.max(first + step, Math.ceil(high / step - 1e-9) * step), step];
}

/** A confusion matrix as a heat map that is a table: rows are the truth, columns what the model said. */
export function heatMap(caption, labels, matrix) {
  const cell = (value, row, column) => {
    const of = matrix[row].reduce((sum, each) => sum + each, 0) || 1;
    const node = h(
      "td",
      {
        class: row === column ? "right" : "",
        title: `${labels[row]} taken for ${labels[column]}: ${count(value)} of ${count(of)}`,
      },
      value ? count(value) : h("span", { class: "zero" }, "0"),
    );
    node.style.setProperty("--share", Math.sqrt(value / of));
    return node;
  };
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      { class: "heat" },
      h("caption", { class: "hidden" }, `${caption}. Rows are the truth, columns what the model said.`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", { class: "corner" }, "truth ↓ said →"),
          labels.map((label) => h("th", { scope: "col" }, h("span", {}, label))),
        ),
      ),
      h(
        "tbody",
        {},
        matrix.map((values, row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, labels[row]),
            values.map((value, column) => cell(value, row, column)),
          ),
        ),
      ),
    ),
  );
}

/** How often answers of a confidence are right; on the diagonal it is as often as they say. */
export function reliabilityDiagram(title, bins) {
  const { place } = fluid((width) => {
    const size = Math.min(width, 340);
    const least = Math.min(0.5, ...bins.flatMap(({ confidence, accuracy }) => [confidence, accuracy]));
    const ticks = [0, 0.25, 0.5, 0.75, 1].filter((tick) => tick >= least - 0.01);
    const axis = [Math.min(ticks[0], least), 1];
    const { node, toX, toY } = frame(
      title,
      `${bins.length} groups of answers by confidence. The nearer to the diagonal, the better.`,
      {
        width: size,
        height: size * 0.86,
        x: axis,
        y: axis,
        xTicks: ticks,
        yTicks: ticks,
        xText: (share) => percent(share, 0),
        yText: (share) => percent(share, 0),
        xName: "how sure → how often right ↑",
      },
    );
    const points = bins.map(({ confidence, accuracy }) => [toX(confidence), toY(accuracy)]);
    node.append(
      svg("line", { class: "diagonal", x1: toX(axis[0]), y1: toY(axis[0]), x2: toX(1), y2: toY(1) }),
      svg("polyline", { class: "line series-1", points: points.map((point) => point.join(",")).join(" ") }),
      ...points.map(([cx, cy]) => svg("circle", { class: "dot series-1", cx, cy, r: 4 })),
    );
    return node;
  });
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("strong", {}, title)),
    place,
    asTable(
      title,
      ["How sure", "How often right", "Images"],
      bins.map(({ confidence, accuracy, images }) => [percent(confidence), percent(accuracy), count(images)]),
    ),
  );
}
