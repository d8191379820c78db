// The place as it is being edited: what scene.yaml says, the changes that are not saved yet, and saving them.

import { Clock } from "./clock.js";
import { getJson, postJson, store } from "./store.js";

/** One draft for all tabs; it outlives the page, so that a look at another page loses nothing. */
class Draft extends EventTarget {
  async load() {
    this.take(await getJson("/api/place"));
  }

  /** Begin with what the server says. */
  take(content) {
    this.problem = content.problem;
    this.digest = content.digest;
    this.file = content.file;
    this.saved = content;
    this.cameras = structuredClone(content.cameras);
    this.links = structuredClone(content.links);
    this.maps = structuredClone(content.maps);
    this.origins = structuredClone(content.origins);
    this.start_utc = content.start_utc; // date of second 0, "" if unknown
    this.hasLoaded = true;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** What differs from scene.yaml, as the server takes it; null if nothing does. */
  changes() {
    const changes = {};
    const cameras = this.cameras
      .map((camera, id) => ({ id, ...this.cameraChanges(camera, this.saved.cameras[id]) }))
      .filter((camera) => Object.keys(camera).length > 1);
    if (cameras.length) changes.cameras = cameras;
    for (const key of ["links", "maps", "origins"]) if (differs(this[key], this.saved[key])) changes[key] = this[key];
    if (this.start_utc !== this.saved.start_utc) changes.start_utc = this.start_utc;
    return Object.keys(changes).length ? changes : null;
  }

  cameraChanges(camera, saved) {
    const changes = {};
    for (const key of ["zones", "roi", "ground_from_image", "ground_plane"]) {
      if (differs(camera[key], saved[key])) changes[key] = camera[key];
    }
    if (camera.start_s !== undefined) changes.start_s = camera.start_s;
    return changes;
  }

  /** The clock of a camera as scene.yaml has it, with the offset of the draft. */
  clock(index) {
    const { fps, time_map: knots, start_s: start } = this.cameras[index];
    const clock = new Clock({ fps, time_map: knots, frame_count: store.cameras[index].frame_count });
    if (start === undefined) return clock;
    const shift = start - clock.timeAt(0);
    clock.seconds = clock.seconds.map((seconds) => seconds + shift);
    return clock;
  }

  async save() {
    this.take(await postJson("/api/place", { digest: this.digest, changes: this.changes() ?? {} }));
  }

  revert() {
    this.take(this.saved);
  }
}

function differs(a, b) {
  return JSON.stringify(a) !== JSON.stringify(b);
}

export const draft = new Draft();
