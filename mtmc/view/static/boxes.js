// Boxes and ground positions of a camera by frame, fetched in chunks and kept.

import { getBuffer, store } from "./store.js";

const KEPT_CHUNKS = 8;
const PX_PER_UNIT = 1 / 4;

/** What is known of a camera's frames, by `kind`: a route, and how its rows are read. */
class Chunks {
  constructor(camera, kind) {
    this.camera = camera;
    this.kind = kind;
    this.chunks = new Map();
  }

  /** The rows of a frame; null until they are there, then `arrived` of every call is called. */
  at(frame, arrived) {
    if (this.tracklets !== store.tracklets) this.chunks.clear();
    this.tracklets = store.tracklets;
    const size = store.run.frames_per_chunk;
    const number = Math.floor(frame / size);
    const chunk = this.chunks.get(number);
    if (!chunk) {
      this.fetch(number, size, arrived);
      return null;
    }
    if (!chunk.ready) chunk.waiting.push(arrived);
    return chunk.ready && rowsOf(chunk.ready, frame, this.kind.row);
  }

  fetch(number, size, arrived) {
    const chunk = { ready: null, waiting: [arrived] };
    this.chunks.set(number, chunk);
    if (this.chunks.size > KEPT_CHUNKS) this.chunks.delete(this.chunks.keys().next().value);
    getBuffer(`/api/cameras/${this.camera}/${this.kind.route}?first=${number * size}`)
      .then((buffer) => {
        chunk.ready = unpack(buffer, this.kind.Values);
        for (const call of chunk.waiting.splice(0)) call?.();
      })
      .catch(() => this.chunks.delete(number));
  }
}

function unpack(buffer, Values) {
  const [first, count] = new Uint32Array(buffer, 0, 2);
  const offsets = new Uint32Array(buffer, 8, count + 1);
  const rows = offsets[count];
  const start = 8 + 4 * (count + 1);
  const passages = new Uint32Array(buffer, start, rows);
  const values = new Values(buffer, start + 4 * rows);
  return { first, count, offsets, passages, values };
}

function rowsOf({ first, count, offsets, passages, values }, frame, row) {
  const place = frame - first;
  if (place < 0 || place >= count) return [];
  const found = [];
  for (let k = offsets[place]; k < offsets[place + 1]; k += 1) found.push({ passage: passages[k], ...row(values, k) });
  return found;
}

const BOXES = {
  route: "boxes",
  Values: Int16Array,
  row(values, k) {
    const [x1, y1, x2, y2] = values.subarray(4 * k, 4 * k + 4);
    return { x1: x1 * PX_PER_UNIT, y1: y1 * PX_PER_UNIT, x2: x2 * PX_PER_UNIT, y2: y2 * PX_PER_UNIT };
  },
};
const UNTRACKED = { ...BOXES, route: "untracked" };
const GROUND = { route: "ground", Values: Float32Array, row: (values, k) => ({ x: values[2 * k], y: values[2 * k + 1] }) };

function kept(kind) {
  const cameras = new Map();
  return (camera) => {
    if (!cameras.has(camera)) cameras.set(camera, new Chunks(camera, kind));
    return cameras.get(camera);
  };
}

/** The boxes of a camera, by its index: rows {passage, x1, y1, x2, y2} in pixels. */
export const boxesOf = kept(BOXES);

/** The positions of a camera's boxes on its ground plane: rows {passage, x, y} in meters, NaN where unknown. */
export const groundOf = kept(GROUND);

/** Detections of a camera that no tracklet holds: rows as of `boxesOf`, `passage` numbers them. */
export const untrackedOf = kept(UNTRACKED);
