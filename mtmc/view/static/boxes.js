// Boxes of a camera by frame, fetched in chunks and kept.

import { getBuffer, store } from "./store.js";

const KEPT_CHUNKS = 8;
const PX_PER_UNIT = 1 / 4;

class CameraBoxes {
  constructor(camera) {
    this.camera = camera;
    this.chunks = new Map();
  }

  /** The boxes of a frame as [{passage, x1, y1, x2, y2}]; null until they are there, then `arrived` is called. */
  at(frame, arrived) {
    const size = store.run.frames_per_chunk;
    const number = Math.floor(frame / size);
    const chunk = this.chunks.get(number);
    if (!chunk) {
      this.fetch(number, size, arrived);
      return null;
    }
    return chunk.ready ? rowsOf(chunk.ready, frame) : null;
  }

  fetch(number, size, arrived) {
    const chunk = { ready: null };
    this.chunks.set(number, chunk);
    if (this.chunks.size > KEPT_CHUNKS) this.chunks.delete(this.chunks.keys().next().value);
    getBuffer(`/api/cameras/${this.camera}/boxes?first=${number * size}`)
      .then((buffer) => {
        chunk.ready = unpack(buffer);
        arrived?.();
      })
      .catch(() => this.chunks.delete(number));
  }
}

function unpack(buffer) {
  const [first, count] = new Uint32Array(buffer, 0, 2);
  const offsets = new Uint32Array(buffer, 8, count + 1);
  const rows = offsets[count];
  const start = 8 + 4 * (count + 1);
  const passages = new Uint32Array(buffer, start, rows);
  const edges = new Int16Array(buffer, start + 4 * rows, 4 * rows);
  return { first, count, offsets, passages, edges };
}

function rowsOf({ first, count, offsets, passages, edges }, frame) {
  const place = frame - first;
  if (place < 0 || place >= count) return [];
  const found = [];
  for (let row = offsets[place]; row < offsets[place + 1]; row += 1) {
    const [x1, y1, x2, y2] = edges.subarray(4 * row, 4 * row + 4);
    found.push({
      passage: passages[row],
      x1: x1 * PX_PER_UNIT,
      y1: y1 * PX_PER_UNIT,
      x2: x2 * PX_PER_UNIT,
      y2: y2 * PX_PER_UNIT,
    });
  }
  return found;
}

const cameras = new Map();

/** The boxes of a camera, by its index. */
export function boxesOf(camera) {
  if (!cameras.has(camera)) cameras.set(camera, new CameraBoxes(camera));
  return cameras.get(camera);
}
