// All passages on one canvas, a row for each camera: thousands of bars cost no more than they are pixels.

import { clockText, colorOf, el } from "./dom.js";
import { store } from "./store.js";

const AXIS_PX = 20;
const LABEL_PX = 64;
const ROW_PX = 24;
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
    this.rows = rowsOf(store.passages);
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
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
    this.onTime = () => this.request();
    this.onIdentities = () => {
      this.rows = rowsOf(store.passages); // tracklets may have been repaired
      this.request();
    };
    player.addEventListener("time", this.onTime);
    store.addEventListener("identities", this.onIdentities);
  }

  close() {
    this.observer.disconnect();
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
    context.scale(scale, scale);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.drawAxis(context, height);
    this.drawBars(context);
    this.drawLabels(context);
    return this.layer;
  }

  drawAxis(context, height) {
    const perTick = ((this.to - this.from) * LEAST_TICK_PX) / Math.max(this.width - LABEL_PX, 1);
    const tick = TICKS_S.find((seconds) => seconds >= perTick) ?? TICKS_S.at(-1);
    context.textAlign = "left";
    for (let k = Math.ceil(this.from / tick); k * tick <= this.to; k += 1) {
      const x = this.xOf(k * tick);
      context.fillStyle = this.faint;
      context.fillRect(x, 0, 1, height);
      context.fillStyle = this.ink;
      if (x < this.width - 40) context.fillText(clockText(k * tick), x + 4, AXIS_PX / 2);
    }
    context.fillStyle = this.faint;
    for (let row = 0; row <= store.cameras.length; row += 1) {
      context.fillRect(0, AXIS_PX + row * ROW_PX, this.width, 1);
    }
  }

  drawBars(context) {
    const chosen = this.highlight();
    for (const { passage, top, height } of this.rows) {
      const [x1, x2] = [this.xOf(passage.start), this.xOf(passage.end)];
      if (x2 < LABEL_PX || x1 > this.width) continue;
      const vehicle = store.vehicle[passage.index];
      context.globalAlpha = chosen === null || chosen === vehicle ? 1 : 0.25;
      context.fillStyle = colorOf(vehicle, store.vehicles.get(vehicle).isShared);
      const left = Math.max(x1, LABEL_PX);
      context.fillRect(left, top, Math.max(x2 - left, 1.5), height);
    }
    context.globalAlpha = 1;
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
