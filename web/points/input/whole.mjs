// The whole skeleton as one thing to be dragged: its frame, its handles, and what a drag of each does.

import { pictureOf } from "../document/edits.mjs";
import { centreOf, distance, widened } from "../document/places.mjs";
import { movePerson, rotatePerson, scalePerson, skeletonBox } from "../document/transform.mjs";
import { nearest, others } from "./hits.mjs";

const ROOM = 0.06;
const CORNERS = { nw: [0, 1], ne: [2, 1], se: [2, 3], sw: [0, 3] };
const OPPOSITE = { nw: "se", ne: "sw", se: "nw", sw: "ne" };

/** The frame [x0, y0, x1, y1] px round the active person's skeleton, with some room inside of the picture, or null. */
export function wholeFrameOf(doc) {
  const box = skeletonBox(doc);
  return box && widened(box, ROOM * Math.max(box[2] - box[0], box[3] - box[1]), pictureOf(doc));
}

/** The handles of a frame as [name, xy_px]: the corners scale, "turn" turns. */
export function wholeHandles(frame) {
  const corners = Object.entries(CORNERS).map(([name, [x, y]]) => [name, [frame[x], frame[y]]]);
  return [...corners, ["turn", [(frame[0] + frame[2]) / 2, frame[1]]]];
}

/** {kind: "whole", handle} ("move" inside of the frame), {kind: "person", person} for a joint of another one, or null. */
export function hitWhole(doc, xy_px, reach_px) {
  const frame = wholeFrameOf(doc);
  const handles = frame ? wholeHandles(frame).map(([handle, place]) => [{ kind: "whole", handle }, place]) : [];
  const hit = nearest(handles, xy_px, reach_px) ?? nearest(others(doc), xy_px, reach_px);
  if (hit || !frame) return hit;
  const [x, y] = xy_px;
  return x >= frame[0] && y >= frame[1] && x <= frame[2] && y <= frame[3] ? { kind: "whole", handle: "move" } : null;
}

/** The document while a handle that was taken at drag.from_px is at xy_px. */
export function draggedWhole({ before, from_px, whole }, xy_px) {
  if (whole === "move") return movePerson(before, [xy_px[0] - from_px[0], xy_px[1] - from_px[1]]);
  const frame = wholeFrameOf(before);
  if (whole === "turn") {
    const centre = centreOf(frame);
    return rotatePerson(before, angle(centre, xy_px) - angle(centre, from_px), centre);
  }
  const [x, y] = CORNERS[OPPOSITE[whole]];
  const anchor = [frame[x], frame[y]];
  return scalePerson(before, distance(anchor, xy_px) / Math.max(distance(anchor, from_px), 1), anchor);
}

function angle([cx, cy], [x, y]) {
  return Math.atan2(y - cy, x - cx);
}
