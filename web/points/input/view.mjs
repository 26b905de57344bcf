// How the picture lies on the canvas: xy_screen = xy_px * scale + offset. Screen coordinates are CSS pixels of the
// canvas, from its upper left corner. A view is a value {scale, x, y}.

import { distance } from "../document/places.mjs";

export const MARGIN = 14;
export const ZOOM_STEP = 1.25;
const MIN_SCALE = 0.02;
const MAX_SCALE = 64;
const KEPT_VISIBLE = 32;

/** The view that shows the whole picture (w, h px) in the middle of a canvas of (w, h) CSS pixels. */
export function fitView(canvas, picture) {
  return fitBox(canvas, [0, 0, ...picture]);
}

/** The view that shows a box of the picture in the middle of the canvas. */
export function fitBox(canvas, [x0, y0, x1, y1]) {
  const room = canvas.map((side) => Math.max(side - 2 * MARGIN, 8));
  const scale = clampScale(Math.min(room[0] / Math.max(x1 - x0, 1), room[1] / Math.max(y1 - y0, 1)));
  return { scale, x: (canvas[0] - (x0 + x1) * scale) / 2, y: (canvas[1] - (y0 + y1) * scale) / 2 };
}

function clampScale(scale) {
  return Math.min(Math.max(scale, MIN_SCALE), MAX_SCALE);
}

/** Picture pixels to screen. */
export function toScreen(view, [x, y]) {
  return [x * view.scale + view.x, y * view.scale + view.y];
}

/** Screen to picture pixels. */
export function toPicture(view, [x, y]) {
  return [(x - view.x) / view.scale, (y - view.y) / view.scale];
}

/** Zoom by a factor; the picture stays where it is at xy_screen. */
export function zoomAt(view, factor, xy_screen) {
  const scale = clampScale(view.scale * factor);
  const [x, y] = toPicture(view, xy_screen);
  return { scale, x: xy_screen[0] - x * scale, y: xy_screen[1] - y * scale };
}

/** Move the picture by CSS pixels. */
export function panBy(view, [dx, dy]) {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

/** The view with a part of the picture always left on the canvas, so that it cannot be lost. */
export function keepVisible(view, canvas, picture) {
  const place = (offset, length, room) => {
    const kept = Math.min(KEPT_VISIBLE, length, room);
    return Math.min(Math.max(offset, kept - length), room - kept);
  };
  return {
    scale: view.scale,
    x: place(view.x, picture[0] * view.scale, canvas[0]),
    y: place(view.y, picture[1] * view.scale, canvas[1]),
  };
}

/** The part of the picture (w, h px) that is seen on the canvas, [x0, y0, x1, y1] px. */
export function seenPart(view, canvas, picture) {
  const within = (place) => place.map((value, axis) => Math.min(Math.max(value, 0), picture[axis]));
  return [...within(toPicture(view, [0, 0])), ...within(toPicture(view, canvas))];
}

/** The view moved as little as shows a place of the picture; the same one when that is seen already. */
export function withInView(view, canvas, xy_px) {
  const by = toScreen(view, xy_px).map((value, axis) => {
    const room = Math.min(MARGIN, canvas[axis] / 2);
    return Math.min(Math.max(value, room), canvas[axis] - room) - value;
  });
  return by.some((value) => Math.abs(value) > 0.01) ? panBy(view, by) : view;
}

/** The view after two fingers moved from `before` to `after`, each a pair of xy_screen. */
export function pinch(view, before, after) {
  const factor = distance(...after) / Math.max(distance(...before), 1);
  const [from, to] = [middle(...before), middle(...after)];
  return panBy(zoomAt(view, factor, from), [to[0] - from[0], to[1] - from[1]]);
}

function middle([xa, ya], [xb, yb]) {
  return [(xa + xb) / 2, (ya + yb) / 2];
}
