// Polygons and points drawn on a picture, by pointer or by keys: a camera's picture, or a map.

import { Labels } from "./canvas.js";
import { el } from "./dom.js";

const GRAB_PX = 12; // on screen, around a corner
const STEP_PX = 8; // of the picture, for an arrow key
const TAG_PX = 16; // height of a name
const TAG_GAP_PX = 6; // between a corner and a name

/**
 * A canvas over the picture in `frame`. Coordinates are pixels of the picture.
 *
 * `shapes()` gives what is drawn: {points, color, label, isOpen, isDashed} for polygons, {points: [p], color, label,
 * isPoint} for points. `onPress(point, corner)` is called for a click, `onDrag(corner, point)` for a corner that is
 * moved; a corner is {shape, index}, null beside all corners.
 */
export class Sketch {
  constructor(frame, size, { name, shapes, onPress = null, onDrag = null, onKey = null }) {
    this.size = size;
    this.shapes = shapes;
    this.onPress = onPress;
    this.onDrag = onDrag;
    this.onKey = onKey;
    this.cursor = null; // where keys draw
    this.dragged = null;
    this.canvas = el("canvas.sketch", {
      tabIndex: 0,
      role: "application",
      "aria-label": `${name}: arrow keys move the cross, enter sets a point`,
    });
    frame.append(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    this.canvas.addEventListener("pointermove", (event) => this.onPointerMove(event));
    this.canvas.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.canvas.addEventListener("blur", () => this.moveCursor(null));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  close() {
    this.observer.disconnect();
  }

  /** Pixels of the screen for a pixel of the picture. */
  get scale() {
    return this.canvas.clientWidth / this.size[0];
  }

  pointOf(event) {
    const bounds = this.canvas.getBoundingClientRect();
    return this.inside([(event.clientX - bounds.left) / this.scale, (event.clientY - bounds.top) / this.scale]);
  }

  inside(point) {
    return point.map((value, axis) => round(Math.min(Math.max(value, 0), this.size[axis])));
  }

  /** The corner nearest to a point, if it can be grabbed. */
  cornerAt([x, y]) {
    let found = null;
    let least = GRAB_PX / this.scale;
    for (const shape of this.shapes()) {
      if (shape.isFixed) continue;
      shape.points.forEach((corner, index) => {
        const distance = Math.hypot(corner[0] - x, corner[1] - y);
        if (distance < least) [found, least] = [{ shape, index }, distance];
      });
    }
    return found;
  }

  onPointerDown(event) {
    const point = this.pointOf(event);
    const corner = this.cornerAt(point);
    if (corner && this.onDrag) {
      this.dragged = corner;
      this.hasMoved = false;
      this.canvas.setPointerCapture(event.pointerId);
      this.canvas.addEventListener("pointerup", () => this.release(point), { once: true });
      return;
    }
    this.onPress?.(point, corner);
    this.draw();
  }

  release(point) {
    const corner = this.dragged;
    this.dragged = null;
    if (!this.hasMoved) this.onPress?.(point, corner);
    this.draw();
  }

  onPointerMove(event) {
    if (!this.dragged) return;
    this.hasMoved = true;
    this.onDrag(this.dragged, this.pointOf(event));
    this.draw();
  }

  onKeyDown(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (move && !event.ctrlKey && !event.altKey && !event.metaKey) {
      const step = event.shiftKey ? 1 : STEP_PX;
      const from = this.cursor ?? this.size.map((side) => side / 2);
      this.moveCursor(this.inside(from.map((value, axis) => value + step * move[axis])));
    } else if (event.key === "Enter" && event.repeat) {
      // held down, it sets one point
    } else if (event.key === "Enter") {
      if (!this.cursor) this.moveCursor(this.inside(this.size.map((side) => side / 2)));
      else this.onPress?.(this.cursor, this.cornerAt(this.cursor));
    } else if (!this.onKey?.(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  moveCursor(point) {
    this.cursor = point;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.scale(ratio, ratio);
    const shapes = this.shapes();
    for (const shape of shapes) drawShape(context, shape, this.scale);
    drawTags(context, shapes, this.scale, canvas);
    if (this.cursor) drawCross(context, this.cursor.map((value) => value * this.scale));
  }
}

function drawShape(context, shape, scale) {
  const { points, color, isPoint, isOpen, isDashed, isChosen, isFixed, isFaint, to = null } = shape;
  const [first, ...others] = points.map((point) => point.map((value) => value * scale));
  if (!first) return;
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = isChosen ? 3 : 2;
  context.setLineDash(isDashed ? [6, 4] : []);
  context.beginPath();
  context.moveTo(...first);
  for (const point of others) context.lineTo(...point);
  if (!isOpen && !isPoint) {
    context.closePath();
    context.globalAlpha = isChosen ? 0.35 : isFaint ? 0.06 : 0.18;
    context.fill();
    context.globalAlpha = 1;
  }
  context.stroke();
  context.setLineDash([]);
  if (to) {
    context.beginPath();
    context.moveTo(...first);
    context.lineTo(...to.map((value) => value * scale));
    context.stroke();
  }
  for (const [x, y] of isFixed ? [] : [first, ...others]) {
    context.beginPath();
    context.arc(x, y, isPoint ? 5 : 4, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The names of shapes, each beside a corner of its own where it covers no other one. */
function drawTags(context, shapes, scale, { clientWidth, clientHeight }) {
  context.font = "600 12px system-ui, sans-serif";
  const tags = new Labels(context, clientWidth);
  for (const { points, color, label } of shapes) {
    if (!label || !points.length) continue;
    const width = context.measureText(label).width + 8;
    const places = points.flatMap((point) => placesAt(point.map((value) => value * scale), width));
    const boxes = places.map((place) => tagOf(place, width, clientWidth, clientHeight));
    const { left, top } = tags.take(boxes) ?? boxes[0];
    context.fillStyle = color;
    context.fillRect(left, top, width, TAG_PX);
    context.fillStyle = "#10141a";
    context.fillText(label, left + 4, top + 12);
  }
}

/** Left and top of a name above and below a point, to its right and to its left. */
function placesAt([x, y], width) {
  const [above, below] = [y - TAG_GAP_PX - TAG_PX, y + TAG_GAP_PX];
  return [[x, above], [x, below], [x - width, above], [x - width, below]];
}

/** A name within the picture. */
function tagOf([x, y], width, right, bottom) {
  const left = Math.max(Math.min(x, right - width), 0);
  const top = Math.max(Math.min(y, bottom - TAG_PX), 0);
  return { left, right: left + width, top, bottom: top + TAG_PX };
}

function drawCross(context, [x, y]) {
  for (const [color, width] of [["#10141a", 4], ["#ffffff", 1.5]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x - 12, y);
    context.lineTo(x + 12, y);
    context.moveTo(x, y - 12);
    context.lineTo(x, y + 12);
    context.stroke();
  }
}

function round(value) {
  return Math.round(value * 10) / 10;
}

/** Whether a point lies in a polygon (even–odd rule). */
export function isInside([x, y], polygon) {
  let inside = false;
  polygon.forEach(([x1, y1], index) => {
    const [x2, y2] = polygon[(index + 1) % polygon.length];
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)) inside = !inside;
  });
  return inside;
}
