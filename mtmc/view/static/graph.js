// Cameras as a graph: who sees vehicles at the same time, who sees them later, and after how long.

import { fitted, whenChanged } from "./canvas.js";
import { el } from "./dom.js";
import { store } from "./store.js";
import { quantile, sharedSightings, travelTimes } from "./travel.js";

const NODE_PX = 17;
const BINS = 24;
const MOST_WIDE_PX = 7;
const BEND_PX = 22;

/** The node of graph and table, kept up to date until `close`. */
export function graphOf() {
  const canvas = el("canvas.graph", { role: "img", "aria-label": "Cameras, and how many vehicles go from one to another" });
  // Wider than a narrow window: the keyboard can scroll it.
  const table = el("div.scroll", { tabIndex: 0, role: "region", "aria-label": "Travel times" });
  const node = el("div", {}, el("h2", {}, "Travel times between cameras"), canvas, table);
  const show = () => {
    draw(canvas);
    table.replaceChildren(routesTable());
  };
  const release = whenChanged(canvas, show);
  store.addEventListener("identities", show);
  return {
    node,
    close() {
      release();
      store.removeEventListener("identities", show);
    },
  };
}

/** Cameras on a circle; arrows as wide as the vehicles are many, a dashed line where both see some at one time. */
function draw(canvas) {
  const place = fitted(canvas);
  if (!place) return;
  const { context, width, height, ink, faint } = place;
  const radius = Math.max(Math.min(width, height) / 2 - 2 * NODE_PX - 6, NODE_PX);
  const stretch = Math.min(width / height, 2);
  const places = store.cameras.map((camera, index) => {
    const angle = (2 * Math.PI * index) / store.cameras.length - Math.PI / 2;
    return [width / 2 + stretch * radius * Math.cos(angle), height / 2 + radius * Math.sin(angle)];
  });
  context.strokeStyle = faint;
  context.setLineDash([4, 4]);
  for (const key of sharedSightings().keys()) {
    const [a, b] = key.split("-").map(Number);
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(...places[a]);
    context.lineTo(...places[b]);
    context.stroke();
  }
  context.setLineDash([]);
  const times = travelTimes();
  const most = Math.max(...[...times.values()].map((found) => found.length), 1);
  for (const [key, found] of times) {
    const [a, b] = key.split("-").map(Number);
    drawArrow(context, places[a], places[b], 1 + (MOST_WIDE_PX - 1) * (found.length / most), ink);
  }
  context.textAlign = "center";
  places.forEach(([x, y], index) => {
    context.beginPath();
    context.arc(x, y, NODE_PX, 0, 2 * Math.PI);
    context.fillStyle = faint;
    context.fill();
    context.fillStyle = ink;
    context.fillText(store.cameras[index].id, x, y);
  });
  context.textAlign = "start";
}

/** A bent arrow, so that both directions are seen. */
function drawArrow(context, from, to, width, ink) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy) || 1;
  const bend = [(from[0] + to[0]) / 2 - (BEND_PX * dy) / length, (from[1] + to[1]) / 2 + (BEND_PX * dx) / length];
  const [ex, ey] = [to[0] - bend[0], to[1] - bend[1]];
  const reach = Math.hypot(ex, ey) || 1;
  const tip = [to[0] - (ex / reach) * NODE_PX, to[1] - (ey / reach) * NODE_PX];
  const head = 6 + width;
  const base = [tip[0] - (ex / reach) * head, tip[1] - (ey / reach) * head];
  context.globalAlpha = 0.55;
  Object.assign(context, { strokeStyle: ink, fillStyle: ink, lineWidth: width });
  context.beginPath();
  context.moveTo(...from);
  context.quadraticCurveTo(...bend, ...base);
  context.stroke();
  context.beginPath();
  context.moveTo(...tip);
  context.lineTo(base[0] - (ey / reach) * head * 0.5, base[1] + (ex / reach) * head * 0.5);
  context.lineTo(base[0] + (ey / reach) * head * 0.5, base[1] - (ex / reach) * head * 0.5);
  context.fill();
  context.globalAlpha = 1;
}

function routesTable() {
  const times = [...travelTimes()].sort((a, b) => b[1].length - a[1].length);
  if (!times.length) return el("p.hint", {}, "No vehicle goes from one camera to another.");
  const longest = Math.max(...times.map(([, found]) => quantile(found, 0.95)), 1);
  const names = ["From", "To", "Vehicles", "Median", "15–85 %", `0 to ${longest.toFixed(0)} s`];
  const head = el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)));
  const rows = times.map(([key, found]) => routeRow(...key.split("-").map(Number), found, longest));
  return el("table.routes", {}, el("thead", {}, head), el("tbody", {}, rows));
}

function routeRow(from, to, times, longest) {
  const at = (share) => quantile(times, share).toFixed(1);
  const bars = el("canvas", { width: 150, height: 26, role: "img", "aria-label": "Distribution of travel times" });
  drawHistogram(bars, times, longest);
  return el(
    "tr",
    {},
    el("td", {}, store.cameras[from].id),
    el("td", {}, store.cameras[to].id),
    el("td.number", {}, String(times.length)),
    el("td.number", {}, `${at(0.5)} s`),
    el("td.number", {}, `${at(0.15)}–${at(0.85)} s`),
    el("td", {}, bars),
  );
}

function drawHistogram(canvas, times, longest) {
  const counts = new Array(BINS).fill(0);
  for (const seconds of times) counts[Math.min(Math.floor((seconds / longest) * BINS), BINS - 1)] += 1;
  const most = Math.max(...counts);
  const step = canvas.width / BINS;
  const context = canvas.getContext("2d");
  requestAnimationFrame(() => {
    context.fillStyle = getComputedStyle(canvas).color;
    counts.forEach((count, bin) => {
      const high = (count / most) * canvas.height;
      context.fillRect(bin * step, canvas.height - high, step - 1, high);
    });
  });
}
