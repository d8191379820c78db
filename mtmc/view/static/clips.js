// Two clips side by side on one clock.

import { Player } from "./player.js";
import { store } from "./store.js";
import { CameraTile } from "./tile.js";

const LEAST_CLIP_S = 2;
const MARGIN_S = 0.5;

/** What a clip of a passage shows: camera, first and last second, the passage that it is enlarged around. */
export function partOf(passage) {
  return { camera: store.camera(passage), start: passage.start, end: passage.end, passage: passage.index };
}

/** Enlarge both clips around their passages, or show whole pictures. */
export function zoomClips(clips, isZoomed) {
  for (const tile of clips?.tiles ?? []) {
    tile.zoomOn = isZoomed ? tile.part.passage : null;
    tile.draw();
  }
}

/** The keys that play clips; `current` gives those on the page. */
export function clipKeys(current) {
  return {
    " ": () => current()?.player.toggle(),
    ArrowLeft: () => current()?.player.step(-1),
    ArrowRight: () => current()?.player.step(1),
  };
}

/** Parts as clips: two that overlap in time at one time, else each from its own start. */
export function clipsOf(parts, isZoomed) {
  const tiles = parts.map((part) => {
    const tile = new CameraTile(part.camera, { highlight: () => null });
    tile.part = part;
    tile.zoomOn = isZoomed ? part.passage : null;
    return tile;
  });
  const [from, to] = [Math.max(...parts.map((part) => part.start)), Math.min(...parts.map((part) => part.end))];
  if (to - from >= LEAST_CLIP_S) return { tiles, player: new Player(tiles, { range: [from, to], loops: true }) };
  for (const tile of tiles) tile.offset = Math.max(tile.part.start - MARGIN_S, tile.camera.clock.timeAt(0));
  const length = Math.max(...parts.map((part) => part.end - part.start)) + 2 * MARGIN_S;
  return { tiles, player: new Player(tiles, { range: [0, Math.max(length, LEAST_CLIP_S)], loops: true }) };
}
