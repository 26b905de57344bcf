// What Enter begins with a tool, without a pointer: a point or a box where one looks. Arrows bring it to its place.

import { addPoint, setBox } from "../document/edits.mjs";
import { centreOf, distance } from "../document/places.mjs";
import { boxStops, placeOf } from "../document/queries.mjs";
import { BOXES, POINTS } from "../document/reading.mjs";
import { sameStop } from "./hits.mjs";

const APART_PX = 10;

/**
 * @param {{doc: object, tool: string, selection: object|null}} session
 * @param {number[]} seen the part of the picture that is seen, [x0, y0, x1, y1] px
 * @returns {{doc: object, target: object}|null} the document and what is selected then; null: nothing to begin with this tool
 */
export function begin({ doc, tool, selection }, seen) {
  if (POINTS.includes(tool)) return beginPoint(doc, tool, placeOf(doc, selection) ?? centreOf(seen), seen);
  return BOXES.includes(tool) ? beginBox(doc, tool, selection, seen) : null;
}

/** Where what is selected lies, or in the middle; beside it, where there is a point already. */
function beginPoint(doc, kind, [x, y], seen) {
  const by = x > centreOf(seen)[0] ? -APART_PX : APART_PX;
  const isTaken = (place) => POINTS.some((key) => doc[key].some((point) => distance(point, place) < 1));
  let place = [x, y];
  while (isTaken(place)) place = [place[0] + by, y];
  return { doc: addPoint(doc, kind, place), target: { kind, index: doc[kind].length } };
}

/** A box of half the width and height in the middle; of one that is there, the whole, or the next corner. */
function beginBox(doc, box, selection, [x0, y0, x1, y1]) {
  const stops = boxStops(box);
  const at = doc[box] ? stops.findIndex((stop) => sameStop(stop, selection)) : -1;
  const [w, h] = [(x1 - x0) / 4, (y1 - y0) / 4];
  const drawn = doc[box] ? doc : setBox(doc, box, [x0 + w, y0 + h], [x1 - w, y1 - h]);
  return { doc: drawn, target: stops[(at + 1) % stops.length] };
}
