// One camera: its clean video under a canvas with boxes, kept at a moment of the scene's clock.

import { boxesOf, untrackedOf } from "./boxes.js";
import { colorOf, el } from "./dom.js";
import { getJson, store } from "./store.js";

const POLL_MS = 700;
const MAX_DRIFT_S = 1; // a picture farther off is sought, one less far off is caught up with
const CATCH_UP_S = 0.5;

export class CameraTile {
  /**
   * `onPick(passage | null)` is called with what a click hits; `highlight()` gives the vehicle to bring out. With
   * `onUntracked(box)` detections that no tracklet holds are shown, and clicks on them go there; `isTaken(box, frame)`
   * says which of them to bring out.
   */
  constructor(camera, { onPick = null, highlight = () => null, onUntracked = null, isTaken = () => false } = {}) {
    this.camera = camera;
    this.highlight = highlight;
    this.boxes = boxesOf(camera.index);
    this.untracked = onUntracked && untrackedOf(camera.index);
    this.isTaken = isTaken;
    this.loose = []; // untracked boxes of the picture on screen
    this.frame = null; // of the picture that is on screen
    this.wanted = null; // media seconds to seek to once the running seek has ended
    this.isStill = false; // whether the picture on screen is the one that was sought
    this.zoomOn = null; // passage that the picture is enlarged around
    this.video = el("video", { muted: true, playsInline: true, preload: "metadata", tabIndex: -1 });
    this.canvas = el("canvas", { role: "img", "aria-label": `Camera ${camera.id}` });
    this.note = el("p.note");
    this.stage = el("div.stage", {}, this.video, this.canvas);
    this.caption = el("figcaption", {}, camera.id);
    this.node = el("figure.tile", {}, el("div.frame", {}, this.stage, this.note), this.caption);
    this.node.style.setProperty("--shape", `${camera.size[0]} / ${camera.size[1]}`);
    this.node.style.setProperty("--ratio", camera.size[0] / camera.size[1]);
    this.video.addEventListener("seeked", this.onSeeked);
    this.video.addEventListener("error", () => this.say("The video cannot be played."));
    this.video.requestVideoFrameCallback?.(this.onPicture);
    if (onPick) this.canvas.addEventListener("click", (event) => onPick(this.passageAt(event)));
    if (onUntracked) {
      this.canvas.addEventListener("click", (event) => {
        const box = smallest(this.loose, this.pointOf(event));
        if (box) onUntracked(box);
      });
    }
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
    this.prepare();
  }

  /** Wait for the clean video; boxes are shown meanwhile. */
  async prepare() {
    if (this.isClosed) return;
    try {
      const state = await getJson(`/api/cameras/${this.camera.index}/proxy`);
      if (state.state === "ready") {
        this.say("");
        this.video.src = `/api/cameras/${this.camera.index}/video.mp4`;
        this.isReady = true;
        this.pictures = state.frames;
        this.sync(this.time ?? store.start, false, 1);
        return;
      }
      if (state.state === "failed") {
        this.say(`No video: ${state.problem}`);
        return;
      }
      this.say(state.state === "making" ? `Preparing the video: ${progress(state)}` : "The video is prepared next.");
    } catch {
      this.say("The server does not answer.");
    }
    setTimeout(() => this.prepare(), POLL_MS);
  }

  close() {
    this.isClosed = true;
    this.observer.disconnect();
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** Show the picture of a moment, or stay with the clock while it runs `rate` times as fast as the scene. */
  sync(time, isPlaying, rate) {
    this.time = time;
    const frame = this.camera.clock.frameAt(time);
    const hasPicture = frame !== null && (!this.isReady || frame < this.pictures);
    this.hasPicture = hasPicture;
    this.node.classList.toggle("empty", !hasPicture);
    this.caption.dataset.state = hasPicture ? "" : "no picture at this moment";
    if (!hasPicture || !this.isReady) {
      this.video.pause();
      this.show(frame);
      return;
    }
    const { fps } = this.camera.clock;
    const target = (isPlaying ? this.camera.clock.positionAt(time) + 0.5 : frame + 0.5) / fps;
    const drift = this.video.currentTime - target;
    if (!isPlaying || Math.abs(drift) > MAX_DRIFT_S * Math.max(rate, 1)) {
      this.video.pause();
      // Where playback was stopped, the picture on screen may be the one before that of the video's own time.
      if (isPlaying || Math.abs(drift) > 0.25 / fps || this.frame !== frame) this.seek(target);
      if (isPlaying) this.play(rate);
      return;
    }
    const correction = Math.abs(drift) > 0.5 / fps ? Math.min(Math.max(1 - drift / CATCH_UP_S, 0.5), 2) : 1;
    this.play(rate * correction);
  }

  play(rate) {
    this.isStill = false;
    const speed = Math.min(Math.max(rate, 0.0625), 16);
    if (Math.abs(this.video.playbackRate - speed) > 0.01) this.video.playbackRate = speed;
    if (this.video.paused && !this.video.seeking) this.video.play().catch(() => {});
  }

  seek(seconds) {
    if (this.video.seeking) {
      this.wanted = Math.abs(this.video.currentTime - seconds) > 0.001 ? seconds : null;
      return;
    }
    this.wanted = null;
    this.video.currentTime = seconds;
  }

  /**
   * A seek has ended: the picture of the video's own time is on screen. Reports of pictures do not always say so: where
   * two pictures follow each other at once, a busy browser reports the first one only, and it may do so late.
   */
  onSeeked = () => {
    if (this.isClosed) return;
    if (this.wanted !== null) {
      this.seek(this.wanted);
      return;
    }
    this.isStill = this.video.paused;
    if (this.isStill && this.hasPicture) this.show(Math.floor(this.video.currentTime * this.camera.clock.fps));
  };

  /** The browser shows a new picture: draw the boxes of exactly this one. */
  onPicture = (now, { mediaTime }) => {
    if (this.isClosed) return;
    // Of a moment without a picture the video is hidden; the picture that was sought is known.
    if (this.hasPicture && !this.isStill) this.show(Math.round(mediaTime * this.camera.clock.fps));
    this.video.requestVideoFrameCallback(this.onPicture);
  };

  show(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    this.draw();
  }

  /** Draw the boxes of the picture on screen. */
  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const rows = this.frame === null ? [] : this.boxes.at(this.frame, () => this.draw());
    if (!rows) return;
    this.rows = rows;
    const zoom = this.zoom(rows, width, height);
    this.shown = zoom;
    this.loose = (this.untracked && this.frame !== null && this.untracked.at(this.frame, () => this.draw())) || [];
    for (const box of this.loose) drawUntracked(context, box, zoom, this.isTaken(box, this.frame));
    const chosen = this.highlight();
    const isChosen = (row) => (this.zoomOn === null ? store.vehicle[row.passage] === chosen : row.passage === this.zoomOn);
    for (const row of rows.filter((candidate) => !isChosen(candidate))) drawBox(context, row, zoom, false, chosen);
    for (const row of rows.filter(isChosen)) drawBox(context, row, zoom, true, chosen);
  }

  /** Pixels of the canvas for pixels of the source; the picture is moved the same way by CSS. */
  zoom(rows, width, height) {
    const scale = width / this.camera.size[0];
    const box = this.zoomOn === null ? null : rows.find((row) => row.passage === this.zoomOn);
    if (box) this.lastBox = box;
    if (this.zoomOn === null || !this.lastBox) {
      this.video.style.transform = "";
      return { scale, x: 0, y: 0 };
    }
    const { x1, y1, x2, y2 } = this.lastBox;
    const span = Math.max((x2 - x1) * 2.4, ((y2 - y1) * 2.4 * width) / height, this.camera.size[0] / 8);
    const factor = Math.max(this.camera.size[0] / span, 1);
    const x = clamp(width / 2 - ((x1 + x2) / 2) * scale * factor, width * (1 - factor), 0);
    const y = clamp(height / 2 - ((y1 + y2) / 2) * scale * factor, height * (1 - factor), 0);
    const ratio = this.canvas.clientWidth / width;
    this.video.style.transform = `translate(${x * ratio}px, ${y * ratio}px) scale(${factor})`;
    return { scale: scale * factor, x, y };
  }

  /** The point of the source under the pointer, pixels. */
  pointOf(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / bounds.width;
    const { scale, x, y } = this.shown ?? { scale: this.canvas.width / this.camera.size[0], x: 0, y: 0 };
    return [((event.clientX - bounds.left) * ratio - x) / scale, ((event.clientY - bounds.top) * ratio - y) / scale];
  }

  /** The passage whose box is under the pointer, the smallest one of several; null where there is none. */
  passageAt(event) {
    const hit = smallest(this.rows ?? [], this.pointOf(event));
    return hit ? store.passages[hit.passage] : null;
  }
}

/** The smallest of the boxes that hold a point, undefined if none does. */
function smallest(boxes, [x, y]) {
  const hits = boxes.filter((box) => x >= box.x1 && x <= box.x2 && y >= box.y1 && y <= box.y2);
  return hits.sort((a, b) => (a.x2 - a.x1) * (a.y2 - a.y1) - (b.x2 - b.x1) * (b.y2 - b.y1))[0];
}

function drawUntracked(context, box, { scale, x, y }, isTaken) {
  const pixel = window.devicePixelRatio || 1;
  context.save();
  context.setLineDash(isTaken ? [] : [5 * pixel, 4 * pixel]);
  context.strokeStyle = "#ffffff";
  context.lineWidth = (isTaken ? 3 : 1.5) * pixel;
  context.strokeRect(box.x1 * scale + x, box.y1 * scale + y, (box.x2 - box.x1) * scale, (box.y2 - box.y1) * scale);
  context.restore();
}

function drawBox(context, row, { scale, x, y }, isChosen, chosen) {
  const vehicle = store.vehicle[row.passage];
  const pixel = window.devicePixelRatio || 1;
  const [left, top] = [row.x1 * scale + x, row.y1 * scale + y];
  const [width, height] = [(row.x2 - row.x1) * scale, (row.y2 - row.y1) * scale];
  context.globalAlpha = isChosen || chosen === null ? 1 : 0.45;
  context.strokeStyle = colorOf(vehicle, store.vehicles.get(vehicle).isShared);
  context.lineWidth = (isChosen ? 3 : 1.5) * pixel;
  context.strokeRect(left, top, width, height);
  const text = String(vehicle);
  context.font = `${isChosen ? 600 : 500} ${11 * pixel}px system-ui, sans-serif`;
  const padded = context.measureText(text).width + 6 * pixel;
  const labelTop = top >= 14 * pixel ? top - 14 * pixel : top;
  context.fillStyle = context.strokeStyle;
  context.fillRect(left - context.lineWidth / 2, labelTop, padded, 14 * pixel);
  context.fillStyle = "#10141a";
  context.fillText(text, left + 3 * pixel - context.lineWidth / 2, labelTop + 11 * pixel);
  context.globalAlpha = 1;
}

function progress({ done, frames }) {
  return frames ? `${Math.round((100 * done) / frames)} %` : `${done} frames`;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
