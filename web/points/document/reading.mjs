// The points text and the document read from it. The format is the one people/points_json.py reads: this reader says
// the same of the same mistakes, but keeps what it can, so that one wrong joint does not hide the others.
//
// A document: {width, height (px of the picture the points were set on, or null), active, people, roi_box, full_box,
// positive, negative, extra}. people: [{joints, left_hand, right_hand, places, extra}], each part {name: point or null};
// point: {x, y, state, ...}; boxes: [x0, y0, x1, y1] with x0 < x1, y0 < y1, or null; positive, negative: [[x, y]].
// Boxes and points of the document are the active person's; those of the others wait in their `places` (see people.mjs).
// extra holds the keys nobody here knows. Documents are values: edits make new ones.

import { DEFAULT_STATE, PARTS, STATES } from "./joints.mjs";

export const VERSION = 1;
export const MAX_POINTS = 256;
export const MAX_PEOPLE = 64;
export const MAX_TEXT = 1_000_000;
export const BOXES = Object.freeze(["roi_box", "full_box"]);
export const POINTS = Object.freeze(["positive", "negative"]);
// How far outside of the picture the node takes a joint, in shares of its sides (people/prompts.py).
export const JOINT_ROOM = 0.5;
const LIMIT_PX = 1e9;
const KNOWN = ["version", "width", "height", "active", "people", "roi_box", "full_box", "positive", "negative"];

/** A document that says nothing about a picture of that size (null: not known yet). */
export function emptyDocument(width = null, height = null) {
  return {
    width, height, active: 0, people: [emptyPerson()], ...emptyPlaces(), extra: {},
  };
}

/** A person without joints. */
export function emptyPerson() {
  return { joints: {}, left_hand: {}, right_hand: {}, places: emptyPlaces(), extra: {} };
}

/** No boxes and no points. */
export function emptyPlaces() {
  return { roi_box: null, full_box: null, positive: [], negative: [] };
}

/**
 * Read a points text.
 * @returns {{doc: object|null, problems: string[]}} doc is null when nothing of the text can be used; problems say
 * what is wrong and where, and are empty for a text that the node accepts.
 */
export function readDocument(text) {
  if (typeof text !== "string") return refused(`the value must be a text; got ${kind(text)}`);
  if (text.length > MAX_TEXT) return refused(`the text has ${text.length} characters; at most ${MAX_TEXT} are read`);
  if (!text.trim()) return { doc: emptyDocument(), problems: [] };
  let value;
  try {
    value = JSON.parse(text);
    JSON.stringify(value);
  } catch (error) {
    return refused(error instanceof RangeError ? "this JSON is nested too deeply" : `this is not JSON (${error.message})`);
  }
  if (!isObject(value)) return refused(`the text must be a JSON object like {"people": [...]}; got ${kind(value)}`);
  const version = own(value, "version");
  if (version !== undefined && version !== VERSION) {
    return refused(`version ${kind(version)} is not known; this editor reads version ${VERSION}`);
  }
  const problems = [];
  return { doc: readFields(value, problems), problems };
}

function refused(message) {
  return { doc: null, problems: [message] };
}

function readFields(value, problems) {
  const people = list(value, "people", MAX_PEOPLE, problems).map((person, index) => readPerson(person, index, problems));
  if (people.length === 0) people.push(emptyPerson());
  const active = readActive(value, people.length, problems);
  const places = readPlaces(value, "", problems);
  const own = people[active].places;
  // What stands on top is the active person's, and goes before what the person says itself.
  for (const key of BOXES) places[key] ??= own[key];
  for (const key of POINTS) if (places[key].length === 0) places[key] = own[key];
  people[active] = { ...people[active], places: emptyPlaces() };
  return {
    width: side(value, "width", problems), height: side(value, "height", problems),
    active, people, ...places, extra: without(value, KNOWN),
  };
}

function readPlaces(value, where, problems) {
  const boxes = BOXES.map((key) => [key, readBox(value, key, where, problems)]);
  return Object.fromEntries([...boxes, ...POINTS.map((key) => [key, readPoints(value, key, where, problems)])]);
}

function readActive(value, count, problems) {
  const active = own(value, "active") ?? 0;
  if (Number.isInteger(active) && active >= 0 && active < count) return active;
  problems.push(`active must be a person's number, 0 to ${count - 1}; got ${kind(active)}`);
  return 0;
}

function readPerson(person, index, problems) {
  if (!isObject(person)) {
    problems.push(`people[${index}] must be {"joints": {name: {"x", "y"}}}; got ${kind(person)}`);
    return emptyPerson();
  }
  const parts = Object.keys(PARTS).map((part) => [part, readPart(person, part, `people[${index}]`, problems)]);
  const known = [...Object.keys(PARTS), ...BOXES, ...POINTS];
  return { ...Object.fromEntries(parts), places: readPlaces(person, `people[${index}].`, problems), extra: without(person, known) };
}

function readPart(person, part, where, problems) {
  const joints = own(person, part) ?? {};
  if (!isObject(joints)) {
    problems.push(`${where}.${part} must be {name: {"x", "y"}}; got ${kind(joints)}`);
    return {};
  }
  for (const name of Object.keys(joints)) {
    if (!PARTS[part].includes(name)) problems.push(`${where}.${part}: there is no joint ${kind(name)}`);
  }
  const read = PARTS[part]
    .filter((name) => Object.hasOwn(joints, name))
    .map((name) => [name, readJoint(joints[name], `${where}.${part}.${name}`, problems)]);
  return Object.fromEntries(read.filter(([, joint]) => joint !== undefined));
}

function readJoint(joint, where, problems) {
  if (joint === null) return null;
  if (!isObject(joint) || !isPixel(own(joint, "x")) || !isPixel(own(joint, "y"))) {
    const number = isObject(joint) ? `x ${kind(own(joint, "x"))} and y ${kind(own(joint, "y"))}` : kind(joint);
    problems.push(`${where} must be {"x": number, "y": number}; got ${number}`);
    return undefined;
  }
  const state = own(joint, "state") ?? DEFAULT_STATE;
  if (STATES.includes(state)) return { ...joint, state };
  problems.push(`the state of ${where} must be one of ${STATES.join(", ")}; got ${kind(state)}`);
  return { ...joint, state: DEFAULT_STATE };
}

function readBox(value, key, where, problems) {
  const corners = own(value, key) ?? null;
  if (corners === null) return null;
  if (!Array.isArray(corners) || corners.length !== 4 || !corners.every(isPixel)) {
    problems.push(`${where}${key} must be [x0, y0, x1, y1] or null; got ${kind(corners)}`);
    return null;
  }
  const box = orderedBox(corners);
  if (box[0] < box[2] && box[1] < box[3]) return box;
  problems.push(`${where}${key} has no area: its two corners must differ in x and y`);
  return null;
}

/** A box with its corners in order: left, top, right, bottom. */
export function orderedBox([xa, ya, xb, yb]) {
  return [Math.min(xa, xb), Math.min(ya, yb), Math.max(xa, xb), Math.max(ya, yb)];
}

function readPoints(value, key, where, problems) {
  const points = list(value, key, MAX_POINTS, problems).map(pair);
  return points.filter((point, index) => {
    const good = Array.isArray(point) && point.length === 2 && point.every(isPixel);
    if (!good) problems.push(`${where}${key}[${index}] must be [x, y] in pixels; got ${kind(point)}`);
    return good;
  });
}

/** A point as [x, y]; other editors write {"x", "y"}. What is neither stays. */
function pair(point) {
  return isObject(point) && Object.hasOwn(point, "x") && Object.hasOwn(point, "y") ? [point.x, point.y] : point;
}

function list(value, key, limit, problems) {
  const entries = own(value, key) || [];
  if (!Array.isArray(entries)) {
    problems.push(`${key} must be a list; got ${kind(entries)}`);
    return [];
  }
  if (entries.length > limit) problems.push(`${key} holds ${entries.length} entries; at most ${limit} are read`);
  return entries.slice(0, limit);
}

function side(value, key, problems) {
  const length = own(value, key) ?? null;
  if (length === null || (isPixel(length) && length > 0)) return length;
  problems.push(`${key} must be a number of pixels above 0; got ${kind(length)}`);
  return null;
}

function isPixel(value) {
  return typeof value === "number" && Math.abs(value) < LIMIT_PX;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Only the object's own keys count: a text may hold names like "constructor". */
function own(object, key) {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function without(object, keys) {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

function kind(value) {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length <= 40 ? text : `${Array.isArray(value) ? "a list" : `a ${typeof value}`} of ${text.length} characters`;
}

/** The points text of a document: one line for each person, empty parts left out. */
export function writeDocument(doc) {
  const people = doc.people.map((person) => ({ ...partsWritten(person), ...person.extra }));
  return JSON.stringify({
    version: VERSION,
    ...(doc.width === null ? {} : { width: doc.width }),
    ...(doc.height === null ? {} : { height: doc.height }),
    active: doc.active,
    people,
    roi_box: doc.roi_box,
    full_box: doc.full_box,
    positive: doc.positive,
    negative: doc.negative,
    ...doc.extra,
  });
}

function partsWritten(person) {
  const filled = Object.keys(PARTS).filter((part) => part === "joints" || Object.keys(person[part]).length > 0);
  const places = Object.entries(person.places ?? {}).filter(([, said]) => said !== null && said.length > 0);
  return Object.fromEntries([...filled.map((part) => [part, person[part]]), ...places]);
}
