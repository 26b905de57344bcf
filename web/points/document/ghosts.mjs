// Ghosts: joints that came in with the connected pose when the node last ran, and of which the text says nothing. The
// node takes them from that pose, so they are shown; they become a part of the text only when they are adopted.
//
// What came in: one picture of a POSE_KEYPOINT value, {people, canvas_width, canvas_height}, with `box`: the connected
// box [x0, y0, x1, y1], or null. nodes/people.py writes it. Which of the people is meant is told here as the node tells
// it (people/prompts.py), so that the ghosts are the joints that the prompt has.

import { placeJoint } from "./edits.mjs";
import { BODY_18, PARTS } from "./joints.mjs";
import { detectedPerson, ratio } from "./detected.mjs";
import { activePerson } from "./queries.mjs";
import { emptyPerson } from "./reading.mjs";
import { boxRound, distance } from "./places.mjs";

export const NO_GHOSTS = Object.freeze({ person: Object.freeze(emptyPerson()), others: Object.freeze([]) });

/**
 * The ghosts of a document, in its pixels.
 * @param {object|null} doc
 * @param {object|null} incoming what came in
 * @param {number} number which of the people is meant; -1: the nearest to what the text says, or the one with most joints
 * @returns {{person: object, others: object[]}} person: the ghosts of the active person; others: the joints of the other
 * people, as long as nothing says which one is meant
 */
export function findGhosts(doc, incoming, number = -1) {
  if (!doc || !Array.isArray(incoming?.people)) return NO_GHOSTS;
  const scale = [ratio(doc.width, incoming.canvas_width), ratio(doc.height, incoming.canvas_height)];
  const people = incoming.people.map((person) => detectedPerson(person, scale));
  const known = people.filter(({ joints }) => Object.keys(joints).length > 0);
  const targets = placesMeant(doc, incoming.box, scale);
  const meant = number >= 0 ? people[number] : nearestPerson(known, targets);
  if (!meant) return NO_GHOSTS;
  const others = number < 0 && targets.length === 0 ? known.filter((person) => person !== meant) : [];
  const said = activePerson(doc);
  return { person: unsaid(doc, meant, said), others: others.map((person) => unsaid(doc, person, said)) };
}

/** Places that tell which person is meant: the active person's joints and positive points, or else the boxes. */
function placesMeant(doc, box, scale) {
  const points = [...Object.values(activePerson(doc).joints).filter(Boolean).map(xy), ...doc.positive];
  if (points.length > 0) return points;
  const connected = Array.isArray(box) && box.length === 4 ? box.map((corner, side) => corner * scale[side % 2]) : null;
  return [doc.roi_box, doc.full_box, connected].filter(Boolean)
    .map(([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2]);
}

function nearestPerson(people, targets) {
  const ranks = people.map((person) => [meanDistance(person, targets), -Object.keys(person.joints).length, -area(person)]);
  const first = (one, other) => one.map((value, index) => value - other[index]).find((less) => less !== 0) ?? 0;
  return people[ranks.map((_, index) => index).sort((one, other) => first(ranks[one], ranks[other]))[0]];
}

function meanDistance({ joints }, targets) {
  const places = Object.values(joints).map(xy);
  const nearest = targets.map((target) => Math.min(...places.map((place) => distance(place, target))));
  return nearest.reduce((sum, away) => sum + away, 0) / Math.max(nearest.length, 1);
}

function area({ joints }) {
  const [x0, y0, x1, y1] = boxRound(Object.values(joints).map(xy));
  return (x1 - x0) * (y1 - y0);
}

function xy({ x, y }) {
  return [x, y];
}

/** The joints of a person that came in of which the text says nothing, as far as the picture shows them. */
function unsaid(doc, person, said) {
  const inside = ({ x, y }) => x >= 0 && y >= 0 && x <= (doc.width ?? Infinity) && y <= (doc.height ?? Infinity);
  const part = (key) => Object.fromEntries(Object.entries(person[key])
    .filter(([name, joint]) => !Object.hasOwn(said[key], name) && inside(joint)));
  return Object.fromEntries(Object.keys(PARTS).map((key) => [key, part(key)]));
}

/** A person's ghosts as [{part, name, point}], of some or all parts. */
export function listGhosts(person, parts = Object.keys(PARTS)) {
  return parts.flatMap((part) => Object.entries(person[part]).map(([name, point]) => ({ part, name, point })));
}

/** The document with a ghost as a joint of the active person; one that was only proposed is given by this choice. */
export function adoptGhost(doc, { part, name, point }) {
  return placeJoint(doc, part, name, xy(point), point.state === "proposed" ? "given" : point.state);
}

/** The document with all these ghosts as joints of the active person. They keep their states: nobody chose each one. */
export function adoptGhosts(doc, ghosts) {
  return ghosts.reduce((done, { part, name, point }) => placeJoint(done, part, name, xy(point), point.state), doc);
}

/** The joints of the body that the prompt has as far as it is known here: the text's, and the ghosts among them. */
export function knownBody(doc, ghosts) {
  const { joints } = activePerson(doc);
  const known = BODY_18.map((name) => [name, joints[name] ?? ghosts.person.joints[name]]);
  return Object.fromEntries(known.filter(([, joint]) => joint));
}
