// A canvas with as many pixels as the screen has for it, empty, in the colors of the page.

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
