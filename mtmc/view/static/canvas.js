// A canvas with as many pixels as the screen has for it, empty, in the colors of the page.

const LINE_PX = 14;

/** Texts that cover neither one another nor what is blocked: each stands beside its point, or is left out. */
export class Labels {
  constructor(context, width) {
    this.context = context;
    this.width = width;
    this.boxes = [];
  }

  /** Keep what is drawn around a point free. */
  block([x, y], radius) {
    this.boxes.push({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius });
  }

  add(text, [x, y], gap) {
    const width = this.context.measureText(text).width;
    const away = gap + LINE_PX / 2;
    const spots = [[x + gap, y], [x - gap - width, y], [x - width / 2, y - away], [x - width / 2, y + away]];
    const box = this.take(spots.map(([left, middle]) => boxOf(left, middle, width)));
    if (box) this.context.fillText(text, box.left, (box.top + box.bottom) / 2);
  }

  /** Keep the first of some boxes that is free, and return it; undefined where none is. */
  take(boxes) {
    const box = boxes.find((box) => this.isFree(box));
    if (box) this.boxes.push(box);
    return box;
  }

  isFree({ left, right, top, bottom }) {
    const covers = (box) => box.left < right && left < box.right && box.top < bottom && top < box.bottom;
    return left >= 0 && right <= this.width && !this.boxes.some(covers);
  }
}

const boxOf = (left, middle, width) => ({
  left,
  right: left + width,
  top: middle - LINE_PX / 2,
  bottom: middle + LINE_PX / 2,
});

/** Call `draw` whenever a canvas has another size, or the page another color scheme; returns what ends that. */
export function whenChanged(canvas, draw) {
  const observer = new ResizeObserver(draw);
  observer.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw);
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", draw);
  };
}

/** Its context in CSS pixels, with `ink` and `faint` as the browser resolves them; null while it is not shown. */
export function fitted(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return null;
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  return { context, width, height, ink: style.color, faint: style.borderTopColor };
}
