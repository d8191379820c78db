// The scene's clock: one moment for all cameras. Tiles follow it; a camera that has no picture stops no other.

import { store } from "./store.js";

export const RATES = [0.1, 0.25, 0.5, 1, 2, 4, 8];

export class Player extends EventTarget {
  /** `range`: first and last moment, seconds; with `loops` the clock starts anew at its end. */
  constructor(tiles, { range = [store.start, store.end], loops = false } = {}) {
    super();
    this.tiles = tiles;
    [this.first, this.last] = range;
    this.loops = loops;
    this.time = this.first;
    this.rate = 1;
    this.isPlaying = false;
  }

  seek(time) {
    this.time = Math.min(Math.max(time, this.first), this.last);
    this.sync();
  }

  /** One picture on or back, of the camera with the highest rate. */
  step(pictures) {
    this.pause();
    const fps = Math.max(...this.tiles.map((tile) => tile.camera.clock.fps), 1);
    this.seek(this.time + pictures / fps);
  }

  play() {
    if (this.isPlaying) return;
    if (this.time >= this.last) this.time = this.first;
    this.isPlaying = true;
    this.before = performance.now();
    this.request = requestAnimationFrame(this.tick);
    this.sync();
  }

  pause() {
    this.isPlaying = false;
    cancelAnimationFrame(this.request);
    this.sync();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  /** Faster (1) or slower (−1). */
  changeRate(direction) {
    const place = RATES.indexOf(this.rate) + direction;
    this.rate = RATES[Math.min(Math.max(place, 0), RATES.length - 1)];
    this.sync();
  }

  tick = (now) => {
    if (!this.isPlaying) return;
    // A page that was hidden for a while goes on where it was.
    this.time += Math.min((now - this.before) / 1000, 0.25) * this.rate;
    this.before = now;
    if (this.time >= this.last) {
      this.time = this.loops ? this.first : this.last;
      if (!this.loops) this.isPlaying = false;
    }
    this.sync();
    this.request = requestAnimationFrame(this.tick);
  };

  sync() {
    for (const tile of this.tiles) if (!tile.isHidden) tile.sync(this.timeOf(tile), this.isPlaying, this.rate);
    this.dispatchEvent(new Event("time"));
  }

  /** The moment a tile shows; clips that are no longer at one time have an offset each. */
  timeOf(tile) {
    return this.time + (tile.offset ?? 0);
  }

  close() {
    this.pause();
    for (const tile of this.tiles) tile.close();
  }
}
