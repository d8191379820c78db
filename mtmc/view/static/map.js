// The ground plane with all vehicles of the moment, and the graph of cameras with the travel times between them.

import { groundOf } from "./boxes.js";
import { fitted, Labels, whenChanged } from "./canvas.js";
import { clockText, colorOf, el } from "./dom.js";
import { graphOf } from "./graph.js";
import { button } from "./parts.js";
import { Player } from "./player.js";
import { getJson, store } from "./store.js";

const MARGIN_PX = 28;
const DOT_PX = 5;
const PICK_PX = 14;
const TRAIL_S = [1.5, 1, 0.5]; // moments before that a trail shows

export function mapPage() {
  const node = el("section.map", { "aria-label": "Map" }, el("h1", {}, "Map"));
  const places = el("div");
  const graph = graphOf();
  const maps = [];
  let player = null;
  let isClosed = false;

  async function load() {
    const planes = await getJson("/api/map");
    if (isClosed) return;
    if (!planes.length) {
      places.append(el("p.hint", {}, "No camera is calibrated to the ground, so there is no map."));
      return;
    }
    const clocks = planes.flatMap((plane) => plane.cameras).map(({ camera }) => new Ticker(store.cameras[camera]));
    player = new Player(clocks);
    for (const plane of planes) maps.push(new GroundMap(plane, player));
    places.append(controls(player), ...maps.map((map) => map.node));
    player.seek(store.busiestMoment());
  }

  node.append(places, graph.node);
  load();
  return {
    node,
    keys: {
      " ": () => player?.toggle(),
      ArrowLeft: () => player?.step(-1),
      ArrowRight: () => player?.step(1),
      "shift+ArrowLeft": () => player?.seek(player.time - 5),
      "shift+ArrowRight": () => player?.seek(player.time + 5),
      "[": () => player?.changeRate(-1),
      "]": () => player?.changeRate(1),
    },
    get player() {
      return player;
    },
    maps,
    close() {
      isClosed = true;
      player?.close();
      for (const map of maps) map.close();
      graph.close();
    },
  };
}

/** In place of a tile: its rate says how long a step is. */
class Ticker {
  constructor(camera) {
    this.camera = camera;
  }

  sync() {}

  close() {}
}

function controls(player) {
  const time = el("output.time", { "aria-label": "Scene time" });
  const moment = el("input.moment", {
    type: "range",
    min: player.first,
    max: player.last,
    step: 0.1,
    "aria-label": "Moment",
    oninput: (event) => player.seek(Number(event.target.value)),
  });
  const play = button("▶", "Play or pause (space)", () => player.toggle());
  player.addEventListener("time", () => {
    time.textContent = clockText(player.time);
    moment.value = player.time;
    play.textContent = player.isPlaying ? "❚❚" : "▶";
  });
  return el("div.row", {}, el("div.bar", {}, play, time), moment);
}

class GroundMap {
  constructor(plane, player) {
    this.plane = plane;
    this.player = player;
    this.canvas = el("canvas.ground", { role: "img", "aria-label": `Ground plane ${plane.name}`.trim() });
    this.node = el("div", {}, plane.name ? el("h2", {}, `Ground plane ${plane.name}`) : null, this.canvas);
    this.canvas.addEventListener("click", (event) => this.pick(event));
    this.request = () => {
      this.isRequested ||= Boolean(requestAnimationFrame(() => this.draw()));
    };
    this.release = whenChanged(this.canvas, this.request);
    player.addEventListener("time", this.request);
    store.addEventListener("identities", this.request);
  }

  close() {
    this.release();
    store.removeEventListener("identities", this.request);
  }

  /** Vehicles at a moment: {vehicle, passage, x, y} on the plane, once for each camera that sees it. */
  at(time) {
    const found = [];
    for (const { camera, to_plane: [[a, b], [dx, dy]] } of this.plane.cameras) {
      const frame = store.cameras[camera].clock.frameAt(time);
      const rows = frame === null ? [] : groundOf(camera).at(frame, this.request) ?? [];
      for (const { passage, x, y } of rows) {
        if (Number.isNaN(x)) continue;
        found.push({ passage, vehicle: store.vehicle[passage], x: a * x - b * y + dx, y: b * x + a * y + dy });
      }
    }
    return found;
  }

  draw() {
    this.isRequested = false;
    const place = fitted(this.canvas);
    if (!place) return;
    const { context, width, height, ink, faint } = place;
    const toPixel = this.projection(width, height);
    const areas = this.plane.cameras.map(({ camera, area }) => [store.cameras[camera].id, area.map(toPixel)]);
    for (const [, corners] of areas) drawArea(context, corners, faint);
    this.labels = new Labels(context, width);
    context.fillStyle = ink;
    context.globalAlpha = 0.6;
    for (const [name, corners] of areas) this.labels.add(name, centerOf(corners), 0);
    context.globalAlpha = 1;
    drawScale(context, this.metersPerPixel, height, ink);
    TRAIL_S.forEach((before, index) => {
      context.globalAlpha = 0.15 + 0.15 * index;
      for (const seen of this.at(this.player.time - before)) drawDot(context, toPixel([seen.x, seen.y]), seen.vehicle, 2);
    });
    context.globalAlpha = 1;
    this.shown = this.at(this.player.time).map((seen) => ({ ...seen, pixel: toPixel([seen.x, seen.y]) }));
    for (const { vehicle, pixel } of this.shown) {
      drawDot(context, pixel, vehicle, DOT_PX);
      this.labels.block(pixel, DOT_PX);
    }
    context.fillStyle = ink;
    const named = new Set();
    for (const { vehicle, pixel } of this.shown) {
      if (named.has(vehicle)) continue;
      named.add(vehicle);
      this.labels.add(String(vehicle), pixel, DOT_PX + 3);
    }
  }

  /** Meters to pixels: all areas fit, one scale for both axes, the second axis upwards. */
  projection(width, height) {
    const points = this.plane.cameras.flatMap(({ area }) => area);
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const scale = Math.min((width - 2 * MARGIN_PX) / Math.max(right - left, 1), (height - 2 * MARGIN_PX) / Math.max(high - low, 1));
    this.metersPerPixel = 1 / scale;
    return ([x, y]) => [width / 2 + (x - (left + right) / 2) * scale, height / 2 - (y - (low + high) / 2) * scale];
  }

  pick(event) {
    const distance = ({ pixel: [x, y] }) => Math.hypot(x - event.offsetX, y - event.offsetY);
    const nearest = (this.shown ?? []).toSorted((a, b) => distance(a) - distance(b))[0];
    if (nearest && distance(nearest) < PICK_PX) location.hash = `#/vehicle/${nearest.vehicle}`;
  }
}

function drawArea(context, corners, faint) {
  context.beginPath();
  for (const [x, y] of corners) context.lineTo(x, y);
  context.closePath();
  context.globalAlpha = 0.25;
  context.fillStyle = faint;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = faint;
  context.stroke();
}

const centerOf = (corners) => [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / corners.length);

function drawDot(context, [x, y], vehicle, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colorOf(vehicle, store.vehicles.get(vehicle)?.isShared);
  context.fill();
}

/** A bar of 1, 2 or 5 times a power of ten meters, at most 100 pixels long. */
function drawScale(context, metersPerPixel, height, ink) {
  const about = metersPerPixel * 100;
  const power = 10 ** Math.floor(Math.log10(about));
  const meters = [5, 2, 1].map((factor) => factor * power).find((length) => length <= about) ?? power;
  context.fillStyle = ink;
  context.fillRect(10, height - 12, meters / metersPerPixel, 2);
  context.fillText(`${meters} m`, 10, height - 21);
}
