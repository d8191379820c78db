// All cameras in step, and the timeline.

import { clockText, colorOf, dateText, el } from "./dom.js";
import { Player } from "./player.js";
import { store } from "./store.js";
import { CameraTile } from "./tile.js";
import { Timeline } from "./timeline.js";

// What the layout counts with, pixels.
const OTHERS_PX = 112; // header, buttons, margins
const CAPTION_PX = 30;
const GAP_PX = 8;
const LEAST_TILE_PX = 220;
const NARROW_PX = 640;

// What the page returns to when it is opened again.
let moment = null;
let selected = null;

export function camerasPage(parameters) {
  if (parameters.has("vehicle")) selected = Number(parameters.get("vehicle"));
  if (parameters.has("t")) moment = Number(parameters.get("t"));
  if (!store.vehicles.has(selected)) selected = null;

  const highlight = () => selected;
  const onPick = (passage) => select(passage ? store.vehicle[passage.index] : null);
  const tiles = store.cameras.map((camera) => new CameraTile(camera, { onPick, highlight }));
  const player = new Player(tiles);
  const timeline = new Timeline(player, {
    highlight,
    onPick: (passage, time) => {
      if (passage) select(store.vehicle[passage.index]);
      player.seek(time);
    },
  });

  const time = el("output.time", { "aria-label": "Scene time" });
  const rate = el("output.rate", { "aria-label": "Speed" });
  const play = button("▶", "Play or pause (space)", () => player.toggle());
  const bar = el(
    "div.bar",
    {},
    button("−5 s", "Back 5 seconds (shift ←)", () => player.seek(player.time - 5)),
    button("◂", "One picture back (←)", () => player.step(-1)),
    play,
    button("▸", "One picture on (→)", () => player.step(1)),
    button("+5 s", "On 5 seconds (shift →)", () => player.seek(player.time + 5)),
    time,
    dateText() ? el("span.detail", {}, dateText()) : null,
    button("−", "Slower ([)", () => player.changeRate(-1)),
    rate,
    button("+", "Faster (])", () => player.changeRate(1)),
  );
  const chosen = el("div.chosen");
  const grid = el("div.grid", {}, tiles.map((tile) => tile.node));
  const title = el("h1.unseen", {}, "Cameras");
  const row = el("div.row", {}, bar, chosen);
  const node = el("section.cameras", { "aria-label": "Cameras" }, title, grid, row, timeline.node);

  const visible = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const tile = tiles.find((candidate) => candidate.node === target);
      tile.isHidden = !isIntersecting;
      if (tile.isHidden) tile.video.pause();
    }
    player.sync();
  });
  for (const tile of tiles) {
    visible.observe(tile.node);
    tile.caption.append(
      button("⤢", `Enlarge camera ${tile.camera.id}`, () => {
        const isLarge = tile.node.classList.toggle("large");
        grid.classList.toggle("one", isLarge);
        for (const other of tiles) if (other !== tile) other.node.classList.remove("large");
        arrange();
      }),
    );
  }

  /** As many columns as make the pictures largest without moving the timeline off the screen. */
  function arrange() {
    const shown = grid.classList.contains("one") ? tiles.filter((tile) => tile.node.matches(".large")) : tiles;
    const shape = Math.max(...shown.map(({ camera }) => camera.size[0] / camera.size[1]));
    const width = grid.clientWidth;
    const height = window.innerHeight - OTHERS_PX - timeline.canvas.clientHeight;
    let [best, columns] = [0, 1];
    for (let count = 1; count <= shown.length; count += 1) {
      const fitting = (height / Math.ceil(shown.length / count) - CAPTION_PX) * shape;
      const size = Math.min((width - GAP_PX * (count - 1)) / count, fitting);
      if (size > best) [best, columns] = [size, count];
    }
    const least = Math.min(width < NARROW_PX ? (width - GAP_PX) / 2 : LEAST_TILE_PX, width);
    if (best < least) [best, columns] = [least, Math.max(Math.floor((width + GAP_PX) / (least + GAP_PX)), 1)];
    grid.style.setProperty("--columns", Math.min(columns, shown.length));
    grid.style.setProperty("--tile", `${Math.floor(best)}px`);
  }

  function select(vehicle) {
    selected = vehicle;
    showChosen();
    for (const tile of tiles) tile.draw();
    timeline.request();
  }

  function showChosen() {
    const vehicle = store.vehicles.get(selected);
    chosen.replaceChildren();
    if (!vehicle) {
      chosen.append(el("span.hint", {}, "Click a vehicle to follow it."));
      return;
    }
    chosen.append(
      el("span.chip", { style: { background: colorOf(vehicle.id, vehicle.isShared) } }, String(vehicle.id)),
      el("a", { href: `#/vehicle/${vehicle.id}` }, vehicle.class),
      button("‹", "Where it was before (p)", () => follow(-1)),
      button("›", "Where it is next (n)", () => follow(1)),
      button("×", "Select nothing (escape)", () => select(null)),
    );
  }

  /** Go to the next passage of the chosen vehicle, or the one before. */
  function follow(direction) {
    const passages = store.vehicles.get(selected)?.passages ?? [];
    const starts = passages.map((passage) => store.camera(passage).clock.timeAt(passage.largestFrame)).sort((a, b) => a - b);
    const next = direction > 0 ? starts.find((start) => start > player.time + 0.05) : starts.findLast((start) => start < player.time - 0.05);
    if (next !== undefined) player.seek(next);
  }

  player.addEventListener("time", () => {
    moment = player.time;
    time.textContent = clockText(player.time);
    rate.textContent = `${player.rate}×`;
    play.textContent = player.isPlaying ? "❚❚" : "▶";
  });
  const onIdentities = () => {
    if (!store.vehicles.has(selected)) selected = null;
    select(selected);
  };
  store.addEventListener("identities", onIdentities);
  const resized = new ResizeObserver(arrange);
  resized.observe(grid);
  window.addEventListener("resize", arrange);
  showChosen();
  player.seek(moment ?? store.busiestMoment());

  const keys = {
    " ": () => player.toggle(),
    k: () => player.toggle(),
    ArrowLeft: () => player.step(-1),
    ArrowRight: () => player.step(1),
    "shift+ArrowLeft": () => player.seek(player.time - 5),
    "shift+ArrowRight": () => player.seek(player.time + 5),
    Home: () => player.seek(player.first),
    End: () => player.seek(player.last),
    "[": () => player.changeRate(-1),
    "]": () => player.changeRate(1),
    n: () => follow(1),
    p: () => follow(-1),
    "+": () => timeline.zoom(0.5),
    "-": () => timeline.zoom(2),
    Escape: () => select(null),
  };
  return {
    node,
    keys,
    player,
    close() {
      visible.disconnect();
      resized.disconnect();
      window.removeEventListener("resize", arrange);
      store.removeEventListener("identities", onIdentities);
      timeline.close();
      player.close();
    },
  };
}

function button(text, title, onclick) {
  return el("button", { type: "button", title, "aria-label": title, onclick }, text);
}
