// A document for a picture of another size.

import { rounded } from "./edits.mjs";
import { PARTS } from "./joints.mjs";
import { BOXES, POINTS } from "./reading.mjs";

// Shapes that differ by less are called the same: a picture that was scaled has whole pixels.
const SAME_SHAPE = 0.01;

/** The document with every place changed by map(xy_px). */
export function mapPlaces(doc, map) {
  const point = (place) => map(place).map(rounded);
  const places = (said) => ({
    ...Object.fromEntries(BOXES.map((key) => [key, said[key] && [...point(said[key].slice(0, 2)), ...point(said[key].slice(2))]])),
    ...Object.fromEntries(POINTS.map((key) => [key, said[key].map(point)])),
  });
  const person = (someone) => ({ ...mapJoints(someone, point), places: places(someone.places) });
  return { ...doc, people: doc.people.map(person), ...places(doc) };
}

/** A person with the place of every joint changed by map(xy_px). */
export function mapJoints(person, map) {
  const part = (joints) => Object.fromEntries(Object.entries(joints).map(([name, joint]) => {
    if (!joint) return [name, joint];
    const [x, y] = map([joint.x, joint.y]);
    return [name, { ...joint, x, y }];
  }));
  return { ...person, ...Object.fromEntries(Object.keys(PARTS).map((key) => [key, part(person[key])])) };
}

/** Everything scaled to a picture of another size, as the node does: stretched, if its shape is another one. */
export function fitToPicture(doc, width, height) {
  if (doc.width === width && doc.height === height) return doc;
  const scale = [width / (doc.width ?? width), height / (doc.height ?? height)];
  return { ...mapPlaces(doc, ([x, y]) => [x * scale[0], y * scale[1]]), width, height };
}

/** Everything scaled to a picture of another size without being stretched, in its middle. */
export function fitKeepingShape(doc, width, height) {
  const map = keepingShape([doc.width ?? width, doc.height ?? height], [width, height]);
  return { ...mapPlaces(doc, map), width, height };
}

/** What brings a place of one size [width, height] into the middle of another one, without stretching. */
export function keepingShape([width, height], size) {
  const scale = Math.min(size[0] / width, size[1] / height);
  return ([x, y]) => [(size[0] - width * scale) / 2 + x * scale, (size[1] - height * scale) / 2 + y * scale];
}

/** Whether two sizes [width, height] have different shapes. */
export function differInShape([width, height], [otherWidth, otherHeight]) {
  return Math.abs((width * otherHeight) / (height * otherWidth) - 1) > SAME_SHAPE;
}

/** Whether a document says anything that has a place. */
export function hasPlaces(doc) {
  let found = false;
  mapPlaces(doc, (place) => { found = true; return place; });
  return found;
}
