// Frames of a camera and seconds of the scene, as mtmc.geometry.clock has them.

/** A camera's clock: knots (frame, seconds), linear between them, `fps` outside. */
export class Clock {
  constructor({ fps: [numerator, denominator], time_map: knots, frame_count: count }) {
    this.fps = numerator / denominator;
    this.frames = knots.map((knot) => knot[0]);
    this.seconds = knots.map((knot) => knot[1]);
    this.count = count;
  }

  /** Scene seconds of a frame. */
  timeAt(frame) {
    return interpolate(frame, this.frames, this.seconds, 1 / this.fps);
  }

  /** Position of a moment between frames: 7.4 lies after frame 7 and before frame 8. */
  positionAt(seconds) {
    return interpolate(seconds, this.seconds, this.frames, this.fps);
  }

  /** The frame nearest to a moment; null where the camera has no picture of it. */
  frameAt(seconds) {
    const frame = Math.floor(this.positionAt(seconds) + 0.5);
    if (frame < 0 || frame >= this.count) return null;
    return Math.abs(this.timeAt(frame) - seconds) > 1.001 / this.fps ? null : frame;
  }
}

function interpolate(x, from, to, slope) {
  const last = from.length - 1;
  if (x <= from[0]) return to[0] + (x - from[0]) * slope;
  if (x >= from[last]) return to[last] + (x - from[last]) * slope;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) low = middle;
    else high = middle;
  }
  return to[low] + ((x - from[low]) / (from[high] - from[low])) * (to[high] - to[low]);
}
