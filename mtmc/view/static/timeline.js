// All passages on one canvas, a row for each camera.

import { whenChanged } from "./canvas.js";
import { clockText, colorOf, el, midnight, pixelsOf } from "./dom.js";
import { store } from "./store.js";

const AXIS_PX = 20;
const LABEL_PX = 64;
const ROW_PX = 24;
const LEAST_BAR_PX = 1.5;
const FADED = 0x40000000; // the alpha of a pixel, a quarter
const LEAST_SPAN_S = 2;
const LEAST_TICK_PX = 80;
const TICKS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

export class Timeline {
  /** `player` gives the moment; `onPick(passage, time)` is called for a click, passage null beside all bars. */
  constructor(player, { onPick, highlight }) {
    this.player = player;
    this.onPick = onPick;
    this.highlight = highlight;
    [this.from, this.to] = [store.start, store.end];
    this.rows = coloredRows();
    this.canvas = el("canvas.timeline", {
      tabIndex: 0,
      role: "slider",
      "aria-label": "Time",
      "aria-valuemin": store.start.toFixed(1),
      "aria-valuemax": store.end.toFixed(1),
    });
    this.canvas.style.height = `${AXIS_PX + ROW_PX * store.cameras.length}px`;
    this.node = el("div.timeline-box", {}, this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.onPress(event));
    this.canvas.addEventListener("pointermove", (event) => this.onMove(event));
    this.canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.release = whenChanged(this.canvas, () => this.draw());
    this.onTime = () => this.request();
    this.onIdentities = () => {
      this.rows = coloredRows(); // tracklets may have been repaired
      this.request();
    };
    player.addEventListener("time", this.onTime);
    store.addEventListener("identities", this.onIdentities);
  }

  close() {
    this.release();
    this.player.removeEventListener("time", this.onTime);
    store.removeEventListener("identities", this.onIdentities);
  }

  request() {
    if (this.isRequested) return;
    this.isRequested = true;
    requestAnimationFrame(() => {
      this.isRequested = false;
      this.draw();
    });
  }

  get width() {
    return this.canvas.clientWidth;
  }

  xOf(time) {
    return LABEL_PX + ((time - this.from) / (this.to - this.from)) * (this.width - LABEL_PX);
  }

  timeAt(x) {
    return this.from + ((x - LABEL_PX) / (this.width - LABEL_PX)) * (this.to - this.from);
  }

  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [this.width, canvas.clientHeight];
    if (!width) return;
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    const style = getComputedStyle(canvas);
    this.ink = style.color;
    this.faint = style.borderTopColor; // resolved by the browser, which a custom property is not
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    context.drawImage(this.background(size, scale, height), 0, 0);
    context.scale(scale, scale);
    this.drawMoment(context, height);
    canvas.setAttribute("aria-valuenow", this.player.time.toFixed(1));
    canvas.setAttribute("aria-valuetext", clockText(this.player.time));
  }

  /** Everything but the moment, drawn again only when it has changed: while the clock runs, only the moment does. */
  background(size, scale, height) {
    const shown = [size.width, size.height, this.from, this.to, this.ink, store.sequence, this.highlight()].join();
    if (this.shown === shown) return this.layer;
    this.shown = shown;
    this.layer ??= document.createElement("canvas");
    Object.assign(this.layer, size);
    const context = this.layer.getContext("2d");
    this.drawBars(context, scale);
    context.scale(scale, scale);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.globalCompositeOperation = "destination-over"; // below the bars
    this.drawAxis(context, height);
    context.globalCompositeOperation = "source-over";
    this.drawLabels(context);
    return this.layer;
  }

  drawAxis(context, height) {
    const perTick = ((this.to - this.from) * LEAST_TICK_PX) / Math.max(this.width - LABEL_PX, 1);
    const tick = TICKS_S.find((seconds) => seconds >= perTick) ?? TICKS_S.at(-1);
    context.textAlign = "left";
    const first = midnight() + Math.ceil((this.from - midnight()) / tick) * tick;
    for (let time = first; time <= this.to; time += tick) {
      const x = this.xOf(time);
      context.fillStyle = this.faint;
      context.fillRect(x, 0, 1, height);
      context.fillStyle = this.ink;
      if (x < this.width - 40) context.fillText(clockText(time), x + 4, AXIS_PX / 2);
    }
    context.fillStyle = this.faint;
    for (let row = 0; row <= store.cameras.length; row += 1) {
      context.fillRect(0, AXIS_PX + row * ROW_PX, this.width, 1);
    }
  }

  /** Pixel by pixel: tens of thousands of rectangles in thousands of colors take a canvas far longer. */
  drawBars(context, scale) {
    const image = context.createImageData(this.layer.width, this.layer.height);
    const pixels = new Uint32Array(image.data.buffer);
    const chosen = this.highlight();
    const isClear = ({ passage }) => chosen === null || store.vehicle[passage.index] === chosen;
    const toPixels = this.projection(scale);
    for (const row of this.rows) if (!isClear(row)) fill(pixels, image.width, toPixels(row), (row.pixel & 0xffffff) | FADED);
    for (const row of this.rows) if (isClear(row)) fill(pixels, image.width, toPixels(row), row.pixel);
    context.putImageData(image, 0, 0);
  }

  /** A bar to its pixels: first column and row, those after its last; null outside the section that is shown. */
  projection(scale) {
    const [edge, width] = [LABEL_PX * scale, this.width * scale];
    const perSecond = (width - edge) / (this.to - this.from);
    return ({ passage, top, height }) => {
      const [x1, x2] = [passage.start, passage.end].map((time) => edge + (time - this.from) * perSecond);
      if (x2 < edge || x1 > width) return null;
      const left = Math.round(Math.max(x1, edge));
      const right = Math.round(Math.min(Math.max(x2, left + LEAST_BAR_PX * scale), width));
      const [first, after] = [Math.round(top * scale), Math.round((top + height) * scale)];
      return [left, first, right, Math.max(after, first + 1)];
    };
  }

  drawLabels(context) {
    context.fillStyle = this.ink;
    for (const camera of store.cameras) {
      const text = camera.id.length > 9 ? `${camera.id.slice(0, 8)}…` : camera.id;
      context.fillText(text, 4, AXIS_PX + (camera.index + 0.5) * ROW_PX);
    }
  }

  drawMoment(context, height) {
    const x = this.xOf(this.player.time);
    if (x < LABEL_PX) return;
    context.fillStyle = this.ink;
    context.fillRect(x - 0.75, 0, 1.5, height);
  }

  passageAt(x, y) {
    return (
      this.rows.find(
        ({ passage, top, height }) =>
          y >= top - 1 && y <= top + height + 1 && x >= this.xOf(passage.start) - 3 && x <= this.xOf(passage.end) + 3,
      )?.passage ?? null
    );
  }

  onPress(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    this.isScrubbing = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointerup", () => (this.isScrubbing = false), { once: true });
    this.onPick(this.passageAt(x, y), this.timeAt(Math.max(x, LABEL_PX)));
  }

  onMove(event) {
    if (this.isScrubbing) {
      this.player.seek(this.timeAt(Math.max(event.offsetX, LABEL_PX)));
      return;
    }
    const passage = this.passageAt(event.offsetX, event.offsetY);
    this.canvas.title = passage
      ? `${store.vehicle[passage.index]} · ${clockText(passage.start)}–${clockText(passage.end)}`
      : "";
  }

  onWheel(event) {
    event.preventDefault();
    const middle = this.timeAt(event.offsetX);
    const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (isPan) this.show(this.from + shift(event, this), this.to + shift(event, this));
    else this.zoom(Math.exp(event.deltaY / 400), middle);
  }

  zoom(factor, middle = this.player.time) {
    this.show(middle + (this.from - middle) * factor, middle + (this.to - middle) * factor);
  }

  show(from, to) {
    const span = Math.min(Math.max(to - from, LEAST_SPAN_S), store.end - store.start);
    this.from = Math.min(Math.max(from, store.start), store.end - span);
    this.to = this.from + span;
    this.request();
  }
}

function shift(event, { from, to, width }) {
  return (((event.deltaX || event.deltaY) * (to - from)) / Math.max(width - LABEL_PX, 1));
}

function fill(pixels, width, bar, color) {
  if (!bar) return;
  const [left, first, right, after] = bar;
  for (let y = first; y < after; y += 1) pixels.fill(color, y * width + left, y * width + right);
}

/** The bars with the colors of their vehicles. */
function coloredRows() {
  const rows = rowsOf(store.passages);
  const colors = rows.map(({ passage }) => {
    const vehicle = store.vehicle[passage.index];
    return colorOf(vehicle, store.vehicles.get(vehicle).isShared);
  });
  const distinct = [...new Set(colors)];
  const pixels = pixelsOf(distinct);
  const pixelOf = new Map(distinct.map((color, index) => [color, pixels[index]]));
  return rows.map((row, index) => ({ ...row, pixel: pixelOf.get(colors[index]) }));
}

/** Where each bar lies: passages that overlap in time lie in lanes one below the other. */
function rowsOf(passages) {
  const lanes = store.cameras.map(() => []);
  const placed = passages
    .slice()
    .sort((a, b) => a.start - b.start || a.index - b.index)
    .map((passage) => {
      const free = lanes[passage.camera];
      let lane = free.findIndex((end) => end < passage.start);
      if (lane < 0) lane = free.length;
      free[lane] = passage.end;
      return { passage, lane };
    });
  return placed.map(({ passage, lane }) => {
    const pitch = (ROW_PX - 4) / Math.max(lanes[passage.camera].length, 1);
    const top = AXIS_PX + passage.camera * ROW_PX + 3 + lane * pitch;
    return { passage, top, height: Math.max(pitch - (pitch > 3 ? 1 : 0), 1) };
  });
}
