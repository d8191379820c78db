// What the server knows: the run, its passages and their identities. One copy, which all pages share.

import { Clock } from "./clock.js";
import { setStart } from "./dom.js";

/** A request that the server refused; `status` 409 means that another window has answered meanwhile. */
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function request(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) {
    const data = await response.json().catch(() => ({}));
    throw new ServerError(data.error ?? `the server answered ${response.status}`, response.status);
  }
  return response;
}

export const getJson = async (path) => (await request(path)).json();
export const getBuffer = async (path) => (await request(path)).arrayBuffer();
export const getBlob = async (path) => (await request(path)).blob();

/** Send a file as it is. */
export async function postFile(path, file) {
  const headers = { "content-type": "application/octet-stream" };
  return (await request(path, { method: "POST", headers, body: file })).json();
}

/** Send an object as JSON. */
export async function postJson(path, data) {
  const headers = { "content-type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(data) })).json();
}

class Store extends EventTarget {
  /** Load everything that does not change, and the identities. */
  async load() {
    const [run, columns, identities] = await Promise.all(
      ["/api/run", "/api/passages", "/api/vehicles"].map(getJson),
    );
    this.run = run;
    setStart(run.start_utc);
    this.cameras = run.cameras.map((camera, index) => ({ ...camera, index, clock: new Clock(camera) }));
    this.takePassages(columns);
    const spans = this.cameras.map((camera) => [camera.clock.timeAt(0), camera.clock.timeAt(camera.frame_count - 1)]);
    this.start = Math.min(...spans.map((span) => span[0]));
    this.end = Math.max(...spans.map((span) => span[1]), this.start + 1);
    this.takeIdentities(identities);
  }

  takePassages(columns) {
    this.passages = columns.camera.map((camera, index) => ({
      index,
      camera,
      key: `${camera}-${columns.track[index]}`, // what the tracklet is called in addresses
      track: columns.track[index],
      firstFrame: columns.first_frame[index],
      lastFrame: columns.last_frame[index],
      largestFrame: columns.largest_frame[index],
      start: columns.start_s[index],
      end: columns.end_s[index],
      boxes: columns.boxes[index],
      class: columns.class[index],
      color: columns.color[index],
      entry: columns.entry[index],
      exit: columns.exit[index],
      runId: columns.run_id[index],
      hasPicture: columns.has_picture[index],
    }));
    this.passageOf = new Map(this.passages.map((passage) => [passage.key, passage]));
  }

  /** The first moment at which the most cameras see a vehicle, so that no page opens on empty roads. */
  busiestMoment() {
    const changes = this.passages.flatMap(({ camera, start, end }) => [
      { time: start, camera, step: 1 },
      { time: end, camera, step: -1 },
    ]);
    changes.sort((a, b) => a.time - b.time || b.step - a.step); // a vehicle is in view at its last moment, too
    const inView = this.cameras.map(() => 0);
    let [cameras, most, moment] = [0, 0, this.start];
    for (const { time, camera, step } of changes) {
      inView[camera] += step;
      if (step > 0 && inView[camera] === 1) cameras += 1;
      if (step < 0 && inView[camera] === 0) cameras -= 1;
      if (cameras > most) [most, moment] = [cameras, time];
    }
    return moment;
  }

  /** The passage of a key, if there is one. */
  byKey(key) {
    return this.passageOf.get(key);
  }

  /** Take over identities that the server sent, and the tracklets if they have changed; returns how many moved. */
  async setIdentities(identities) {
    const before = new Map(this.passages.map((passage) => [passage.key, this.vehicle[passage.index]]));
    if (identities.tracklets !== this.tracklets) {
      const columns = await getJson("/api/passages");
      if (columns.tracklets !== identities.tracklets) return this.refresh(); // they have changed again
      this.takePassages(columns);
    }
    this.takeIdentities(identities);
    return this.passages.filter(({ key, index }) => before.get(key) !== this.vehicle[index]).length;
  }

  takeIdentities({ sequence, tracklets, vehicle, checked }) {
    Object.assign(this, { sequence, tracklets, vehicle });
    this.vehicles = new Map();
    for (const passage of this.passages) {
      const id = vehicle[passage.index];
      if (!this.vehicles.has(id)) this.vehicles.set(id, { id, passages: [] });
      this.vehicles.get(id).passages.push(passage);
    }
    const isChecked = new Set(checked);
    for (const found of this.vehicles.values()) describe(found, isChecked);
    this.dispatchEvent(new Event("identities"));
  }

  /** Identities again, after another window has answered. */
  async refresh() {
    return this.setIdentities(await getJson("/api/vehicles"));
  }

  /** Send an answer; identities follow. Returns how many passages changed their vehicle. */
  async answer(action, facts) {
    try {
      return this.setIdentities(await postJson("/api/journal", { sequence: this.sequence, action, ...facts }));
    } catch (error) {
      if (error.status === 409) await this.refresh();
      throw error;
    }
  }

  /** Wrong and missing links by ground truth, null without it. Answers do not change them, so they come once. */
  mistakes() {
    this.comingMistakes ??= getJson("/api/mistakes").catch((error) => {
      this.comingMistakes = null;
      throw error;
    });
    return this.comingMistakes;
  }

  camera(passage) {
    return this.cameras[passage.camera];
  }
}

/** What all passages of a vehicle say together. */
function describe(vehicle, isChecked) {
  vehicle.isChecked = isChecked.has(vehicle.id);
  vehicle.passages.sort((a, b) => a.start - b.start || a.index - b.index);
  vehicle.start = vehicle.passages[0].start;
  vehicle.end = Math.max(...vehicle.passages.map((passage) => passage.end));
  vehicle.cameras = [...new Set(vehicle.passages.map((passage) => passage.camera))].sort((a, b) => a - b);
  vehicle.boxes = vehicle.passages.reduce((sum, passage) => sum + passage.boxes, 0);
  vehicle.isShared = vehicle.cameras.length > 1;
  vehicle.class = most(vehicle.passages, "class", "vehicle");
  vehicle.color = most(vehicle.passages, "color", "");
}

/** The value of most boxes; `unknown` only where nothing else is said. */
function most(passages, key, unknown) {
  const boxes = new Map();
  for (const passage of passages) {
    if (passage[key] !== unknown) boxes.set(passage[key], (boxes.get(passage[key]) ?? 0) + passage.boxes);
  }
  return [...boxes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? unknown;
}

export const store = new Store();
