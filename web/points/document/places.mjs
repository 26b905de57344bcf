// Places are [x, y].

/** Distance of two points. */
export function distance([xa, ya], [xb, yb]) {
  return Math.hypot(xa - xb, ya - yb);
}

/** The box [x0, y0, x1, y1] round places. */
export function boxRound(places) {
  const [xs, ys] = [0, 1].map((axis) => places.map((place) => place[axis]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The middle of a box. */
export function centreOf([x0, y0, x1, y1]) {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}
