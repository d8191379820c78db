// Contact sheets: the boxes of a tracklet as small pictures in order of time, and its path.

import { clockText, el } from "./dom.js";
import { passageAddress } from "./parts.js";
import { getJson, store } from "./store.js";

const CELL = [64, 48]; // pixels of the page
const PLOT_WIDTH = 80;

/** What the contact sheet of a passage shows: frames, centers and jumps of its cells. */
export function sheetOf(passage) {
  return getJson(passageAddress(passage, "sheet"));
}

/** Fetch the pictures of a contact sheet before they are shown. */
export function prefetch(passage) {
  new Image().src = passageAddress(passage, "sheet.jpg");
}

/** The cells of a contact sheet; `onPick(k)` is called with the one that is clicked. */
export function cellsOf(passage, sheet, largeJump, onPick) {
  const [width, height] = CELL;
  const picture = `url("${passageAddress(passage, "sheet.jpg")}")`;
  const cells = sheet.frames.map((frame, k) => {
    const node = el("span.cell", { title: `frame ${frame}`, onclick: (event) => onPick(k, event.shiftKey) });
    Object.assign(node.style, {
      width: `${width}px`,
      height: `${height}px`,
      backgroundImage: sheet.hasPictures ? picture : "none",
      backgroundSize: `${width * sheet.frames.length}px ${height}px`,
      backgroundPosition: `${-k * width}px 0`,
    });
    node.classList.toggle("jump", sheet.jumps[k] > largeJump);
    return node;
  });
  const name = `Tracklet ${passage.track} of camera ${store.camera(passage).id}, ${clockText(passage.start)}–${clockText(passage.end)}`;
  return el("div.strip", { role: "img", "aria-label": name }, cells);
}

/** Where the boxes of a vehicle are in the picture of a camera. */
export class PathPlot {
  constructor(camera) {
    const [wide, high] = camera.size;
    this.scale = PLOT_WIDTH / wide;
    const size = { width: PLOT_WIDTH * 2, height: Math.round(this.scale * high * 2) };
    const name = `Path in camera ${camera.id}`;
    this.node = el("canvas.path", { ...size, role: "img", "aria-label": name, title: name });
  }

  draw(sheets, largeJump) {
    const context = this.node.getContext("2d");
    const style = getComputedStyle(this.node);
    context.setTransform(2, 0, 0, 2, 0, 0);
    for (const { centers, jumps } of sheets) {
      const points = centers.map(([x, y]) => [x * this.scale, y * this.scale]);
      context.strokeStyle = style.color;
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      context.stroke();
      points.forEach(([x, y], k) => {
        context.fillStyle = jumps[k] > largeJump ? style.getPropertyValue("--against") : style.color;
        context.beginPath();
        context.arc(x, y, k === 0 || jumps[k] > largeJump ? 3 : 1.5, 0, 2 * Math.PI);
        context.fill();
      });
    }
  }
}
