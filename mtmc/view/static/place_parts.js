// Pieces of the place editor: a camera's picture at a frame that is chosen with a slider.

import { clockText, el } from "./dom.js";
import { store } from "./store.js";
import { CameraTile } from "./tile.js";

const frames = new Map(); // of each camera, the one that was looked at last

/** Choose a camera. */
export function cameraChoice(name, chosen, onChange) {
  const options = store.cameras.map((camera) => el("option", { value: camera.index }, camera.id));
  const select = el("select", { onchange: (event) => onChange(Number(event.target.value)) }, options);
  select.value = chosen;
  return el("label", {}, name, select);
}

/** A camera's picture with a slider over its frames; `onFrame(frame)` is called for every other picture. */
export class Still {
  constructor(index, { onFrame = null, name = "Picture" } = {}) {
    this.camera = store.cameras[index];
    this.tile = new CameraTile(this.camera);
    this.onFrame = onFrame;
    this.slider = el("input", {
      type: "range",
      min: 0,
      max: this.camera.frame_count - 1,
      "aria-label": `${name} of camera ${this.camera.id}`,
      oninput: () => this.show(Number(this.slider.value)),
    });
    this.time = el("output.time");
    const step = (text, title, pictures) =>
      el("button", { type: "button", title, "aria-label": title, onclick: () => this.show(this.frame + pictures) }, text);
    this.controls = el(
      "div.scrub",
      {},
      step("◂", "One picture back", -1),
      this.slider,
      step("▸", "One picture on", 1),
      this.time,
    );
    this.show(frames.get(index) ?? firstSeen(index));
  }

  show(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.camera.frame_count - 1);
    frames.set(this.camera.index, this.frame);
    this.slider.value = this.frame;
    const time = this.camera.clock.timeAt(this.frame);
    this.time.textContent = clockText(time);
    this.slider.setAttribute("aria-valuetext", `frame ${this.frame}, ${clockText(time)}`);
    this.tile.sync(time, false, 1);
    this.onFrame?.(this.frame);
  }

  get frameNode() {
    return this.tile.node.querySelector(".frame");
  }

  get node() {
    return el("div.still", {}, this.tile.node, this.controls);
  }

  close() {
    this.tile.close();
  }
}

/** The frame of the first box of a camera. */
function firstSeen(index) {
  const seen = store.passages.filter((passage) => passage.camera === index).map((passage) => passage.firstFrame);
  return seen.length ? Math.min(...seen) : 0;
}

const HUES = [28, 150, 265, 85, 330, 205];

/** The color of the k-th zone or point. */
export function markColor(k) {
  return `oklch(78% 0.16 ${HUES[k % HUES.length]})`;
}
