// Elements without markup in strings: every text becomes a text node, so no name in a run can become markup.

/** el("a.link", {href: "#/", onclick}, "text", child): an element with classes, properties or attributes, children. */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") Object.assign(node.style, value);
    else if (key in node) node[key] = value;
    else if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

let start = null; // second 0 of the scene's clock as a clock there showed it, milliseconds; null if unknown
let zone = "";

/** From now on moments are shown by the time of day: `text` is the date of second 0 in ISO 8601, empty if unknown. */
export function setStart(text) {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(text ?? "") ?? ["", "+", 0, 0];
  const east = Number(`${sign}1`) * (60 * Number(hours) + Number(minutes));
  start = text ? Date.parse(text) + 60_000 * east : null;
  zone = `UTC${east ? `${sign}${hours}:${minutes}` : ""}`;
}

/** The date of second 0 and its time zone, "" if unknown: 2026-05-12, UTC+02:00. */
export function dateText() {
  return start === null ? "" : `${new Date(start).toISOString().slice(0, 10)}, ${zone}`;
}

/** Scene seconds from second 0 to the midnight before it; 0 if the date is unknown. */
export function midnight() {
  return start === null ? 0 : -(start % 86_400_000) / 1000;
}

/** Scene seconds of a date and time as a form has it, 2026-05-12T07:01:02; of a number, that number. */
export function secondsOf(text) {
  return text.includes("T") ? (Date.parse(`${text}Z`) - start) / 1000 : Number(text);
}

/** A moment by the time of day, with the date where it is not that of second 0: 07:01:02.4. */
function timeOfDay(seconds) {
  const tenths = Math.round((start + 1000 * seconds) / 100);
  const [day, time] = new Date(tenths * 100).toISOString().split("T");
  return `${dateText().startsWith(day) ? "" : `${day} `}${time.slice(0, 10)}`;
}

/** Scene seconds as people read them: 1:02.4, or the time of day where the scene's date is known. */
export function clockText(seconds) {
  if (start !== null) return timeOfDay(seconds);
  const tenths = Math.round(Math.abs(seconds) * 10);
  const sign = seconds < 0 && tenths ? "−" : "";
  const minutes = Math.floor(tenths / 600);
  const rest = (tenths % 600) / 10;
  const head = minutes >= 60 ? `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}` : `${minutes}`;
  return `${sign}${head}:${rest.toFixed(1).padStart(4, "0")}`;
}

/** A number with its noun: 1 camera, 2 cameras. */
export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const colors = new Map();

/** The color of a vehicle, the same as in the rendered videos; gray where one camera only saw it. */
export function colorOf(vehicle, isShared = true) {
  if (!isShared) return "rgb(170 176 184)";
  if (!colors.has(vehicle)) {
    const hue = (vehicle * 180 * (3 - Math.sqrt(5))) % 360;
    colors.set(vehicle, `oklch(${[76, 66, 84][vehicle % 3]}% 0.17 ${hue.toFixed(1)})`);
  }
  return colors.get(vehicle);
}

/** Colors as opaque pixels of ImageData, 32 bits each. */
export function pixelsOf(colors) {
  const context = new OffscreenCanvas(Math.max(colors.length, 1), 1).getContext("2d");
  colors.forEach((color, index) => {
    context.fillStyle = color;
    context.fillRect(index, 0, 1, 1);
  });
  return new Uint32Array(context.getImageData(0, 0, context.canvas.width, 1).data.buffer);
}

/** A signed number with a real minus sign. */
export function signed(value, digits = 1) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}
