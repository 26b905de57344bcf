// Places are [x, y].

/** Distance of two points. */
export function distance([xa, ya], [xb, yb]) {
  return Math.hypot(xa - xb, ya - yb);
}
