// Small texts beside points, so placed that they do not cover each other: one that finds no room is left out.

const FONT = "11px system-ui, sans-serif";
const HEIGHT = 16;
const PADDING = 5;
const GAP = 9;
const POINT = 5;
const widths = new Map();

/**
 * Draw labels, the first ones first.
 * @param {{text: string, at: number[], loud?: boolean, left?: boolean, above?: boolean, colour?: string}[]} labels
 * at: xy_screen of the point; loud ones are always shown; left: rather on that side; above: on top of the place
 * @param {number[]} size the canvas in CSS pixels
 * @param {number[][]} points xy_screen of what should not be covered
 */
export function drawLabels(context, labels, size, points = []) {
  context.font = FONT;
  context.textBaseline = "middle";
  const taken = points.map(([x, y]) => [x - POINT, y - POINT, 2 * POINT, 2 * POINT]);
  for (const label of labels) {
    const place = placeLabel(label, widthOf(context, label.text) + 2 * PADDING, taken, size);
    if (!place) continue;
    taken.push(place);
    drawLabel(context, label, place);
  }
}

function widthOf(context, text) {
  if (!widths.has(text)) widths.set(text, context.measureText(text).width);
  return widths.get(text);
}

/** A free rectangle [x, y, width, height] for a label, or null. */
export function placeLabel({ at: [x, y], loud, left: leftFirst, above }, width, taken, size) {
  const sides = [[x + GAP, y - HEIGHT / 2], [x - GAP - width, y - HEIGHT / 2]];
  const tries = above ? [[x, y - HEIGHT - 2], [x, y + 2]] : leftFirst ? sides.reverse() : sides;
  const rectangles = tries.map(([left, top]) => [left, top, width, HEIGHT]);
  const free = rectangles.find((one) => isInside(one, size) && !taken.some((other) => overlap(one, other)));
  return free ?? (loud ? rectangles.find((one) => isInside(one, size)) ?? rectangles[0] : null);
}

function isInside([x, y, width, height], size) {
  return x >= 0 && y >= 0 && x + width <= size[0] && y + height <= size[1];
}

function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  return ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah;
}

function drawLabel(context, { text, loud, colour }, [x, y, width, height]) {
  context.fillStyle = colour ?? (loud ? "rgb(0 0 0 / 0.85)" : "rgb(0 0 0 / 0.55)");
  context.beginPath();
  context.roundRect(Math.round(x), Math.round(y), width, height, 3);
  context.fill();
  context.fillStyle = colour ? "#000000" : "#ffffff";
  context.fillText(text, Math.round(x) + PADDING, Math.round(y) + height / 2 + 0.5);
}
