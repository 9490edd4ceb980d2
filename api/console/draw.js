// A garment drawn by hand: pointer, touch or keyboard; bright on black as the data set is.
import { announce, h } from "./dom.js";
import { choice } from "./parts.js";

const SIDE = 28,
  SCALE = 10,
  FULL = SIDE * SCALE;
const BRUSHES = { Fine: 12, Medium: 26, Broad: 48 };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP =
  "Draw with a finger or a mouse. By keyboard: arrow keys move, Space puts the pen down and lifts it, " +
  "Control Z undoes.";

/** The drawing pad; `take` gets the drawing as a file, 28×28. */
export function drawingPad(take) {
  const canvas = h("canvas", {
    width: FULL,
    height: FULL,
    tabIndex: 0,
    id: "pad",
    role: "application",
    "aria-label": "Drawing pad",
    "aria-describedby": "pad-help",
  });
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const tool = { width: BRUSHES.Medium, tone: "#e6e6e6" };
  const cursor = { x: FULL / 2, y: FULL / 2, isDown: false, isShown: false };
  let strokes = [];

  function redraw() {
    paint.fillStyle = "#000";
    paint.fillRect(0, 0, FULL, FULL);
    for (const stroke of strokes) stroke.points ? line(stroke) : fill();
    send.disabled = undo.disabled = clear.disabled = !strokes.length;
    if (!cursor.isShown) return;
    paint.strokeStyle = cursor.isDown ? "#5cc9b1" : "#999";
    paint.lineWidth = 2;
    paint.beginPath();
    paint.arc(cursor.x, cursor.y, tool.width / 2, 0, 7);
    paint.stroke();
  }

  function line({ points, width, tone }) {
    paint.strokeStyle = tone;
    paint.lineWidth = width;
    paint.lineCap = paint.lineJoin = "round";
    paint.beginPath();
    points.forEach(([x, y], i) => paint[i ? "lineTo" : "moveTo"](x, y));
    paint.lineTo(...points.at(-1)); // a tap is a dot
    paint.stroke();
  }

  /** Fill what the outside cannot reach. */
  function fill() {
    const image = paint.getImageData(0, 0, FULL, FULL);
    const outside = new Uint8Array(FULL * FULL);
    const next = [0, FULL - 1, FULL * (FULL - 1), FULL * FULL - 1];
    while (next.length) {
      const at = next.pop();
      if (outside[at] || image.data[4 * at] > 60) continue;
      outside[at] = 1;
      if (at % FULL) next.push(at - 1);
      if ((at + 1) % FULL) next.push(at + 1);
      if (at >= FULL) next.push(at - FULL);
      if (at < FULL * (FULL - 1)) next.push(at + FULL);
    }
    for (let at = 0; at < FULL * FULL; at++) {
      if (!outside[at] && image.data[4 * at] <= 60) image.data.fill(190, 4 * at, 4 * at + 3);
    }
    paint.putImageData(image, 0, 0);
  }

  const begin = (x, y) => strokes.push({ ...tool, points: [[x, y]] });

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * FULL, ((event.clientY - box.top) / box.height) * FULL];
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    Object.assign(cursor, { isShown: false, isDown: false });
    begin(...place(event));
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).points.push(place(each));
    redraw();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) undoLast();
    else if (event.key === " ") togglePen();
    else if (STEPS[event.key]) move(STEPS[event.key]);
    else return;
    event.preventDefault();
    redraw();
  });
  canvas.addEventListener("blur", () => {
    Object.assign(cursor, { isShown: false, isDown: false });
    redraw();
  });

  function togglePen() {
    Object.assign(cursor, { isShown: true, isDown: !cursor.isDown });
    if (cursor.isDown) begin(cursor.x, cursor.y);
    announce(cursor.isDown ? "Pen down" : "Pen up");
  }

  function move([x, y]) {
    cursor.isShown = true;
    cursor.x = Math.min(FULL, Math.max(0, cursor.x + x * SCALE));
    cursor.y = Math.min(FULL, Math.max(0, cursor.y + y * SCALE));
    if (cursor.isDown) strokes.at(-1).points.push([cursor.x, cursor.y]);
  }

  function undoLast() {
    strokes.pop();
    cursor.isDown = false;
  }

  const button = (text, onclick, properties = {}) => h("button", { type: "button", onclick, ...properties }, text);
  const undo = button("Undo", () => {
    undoLast();
    redraw();
  });
  const clear = button("Clear", () => {
    strokes = [];
    cursor.isDown = false;
    redraw();
  });
  const inside = button("Fill the outline", () => {
    strokes.push({});
    redraw();
  });
  const send = button(
    "Classify the drawing",
    async () => {
      cursor.isShown = false;
      redraw();
      take([await asFile(paint)]);
    },
    { class: "primary" },
  );
  const brushes = choice("Brush", { ...BRUSHES, Eraser: 0 }, "Medium", (width) =>
    Object.assign(tool, width ? { width, tone: "#e6e6e6" } : { width: BRUSHES.Medium, tone: "#000" }),
  );
  redraw();
  return h(
    "div",
    { class: "pad" },
    canvas,
    brushes,
    h("div", { class: "row" }, inside, undo, clear),
    send,
    h("p", { class: "soft small", id: "pad-help" }, HELP),
  );
}

/** Each of the 28×28 pixels is the mean of its square, as a camera's would be. */
async function asFile(paint) {
  const { data } = paint.getImageData(0, 0, FULL, FULL);
  const small = new OffscreenCanvas(SIDE, SIDE);
  const image = new ImageData(SIDE, SIDE);
  image.data.fill(255);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      let sum = 0;
      for (let at = 0; at < SCALE * SCALE; at++) {
        sum += data[4 * ((y * SCALE + Math.floor(at / SCALE)) * FULL + x * SCALE + (at % SCALE))];
      }
      image.data.fill(Math.round(sum / SCALE / SCALE), 4 * (y * SIDE + x), 4 * (y * SIDE + x) + 3);
    }
  }
  small.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  return new File([await small.convertToBlob({ type: "image/png" })], "drawing.png", { type: "image/png" });
}
