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

/** The box [x0, y0, x1, y1] round two boxes. */
export function boxRoundBoth(one, other) {
  return one.map((value, side) => (side < 2 ? Math.min(value, other[side]) : Math.max(value, other[side])));
}

/** A box with room on each side, as far as that lies inside of another box. */
export function widened(box, room, limits) {
  const [x0, y0, x1, y1] = boxRoundBoth(box, limits);
  return [
    Math.max(box[0] - room, x0), Math.max(box[1] - room, y0), Math.min(box[2] + room, x1), Math.min(box[3] + room, y1),
  ];
}

/** The middle of a box. */
export function centreOf([x0, y0, x1, y1]) {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}
