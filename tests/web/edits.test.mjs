// Edits of a document, and questions to it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as people from "../../web/points/document/people.mjs";
import { fitToPicture } from "../../web/points/document/sizes.mjs";
import * as edits from "../../web/points/document/edits.mjs";
import { HAND_21 } from "../../web/points/document/joints.mjs";
import * as queries from "../../web/points/document/queries.mjs";
import { emptyDocument, MAX_PEOPLE, MAX_POINTS, readDocument, writeDocument } from "../../web/points/document/reading.mjs";

const doc = () => emptyDocument(100, 80);

function frozen(value) {
  if (value && typeof value === "object") Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

test("a joint is placed inside the picture, in tenths of a pixel, and the old document stays", () => {
  const before = frozen(doc());
  const after = edits.placeJoint(before, "joints", "neck", [10.04, 999]);
  assert.deepEqual(queries.jointOf(after, "joints", "neck"), { x: 10, y: 80, state: "given" });
  assert.deepEqual(before, doc());
});

test("moving keeps what else a joint says; a proposed one becomes given, a detected one is marked as moved", () => {
  let after = edits.placeJoint(doc(), "joints", "neck", [1, 1], "proposed");
  after = edits.moveJoint(after, "joints", "neck", [2, 3]);
  assert.deepEqual(queries.jointOf(after, "joints", "neck"), { x: 2, y: 3, state: "given" });
  after = edits.moveJoint(edits.setJointState(after, "joints", "neck", "detected"), "joints", "neck", [4, 5]);
  assert.deepEqual(queries.jointOf(after, "joints", "neck"), { x: 4, y: 5, state: "detected", moved: true });
});

test("a deleted joint is gone, a deleted detected one is null", () => {
  const given = edits.placeJoint(doc(), "joints", "neck", [1, 1], "given");
  assert.deepEqual(edits.removeJoint(given, "joints", "neck").people[0].joints, {});
  const detected = edits.setJointState(given, "joints", "neck", "detected");
  assert.deepEqual(edits.removeJoint(detected, "joints", "neck").people[0].joints, { neck: null });
});

test("an open hand has all its joints inside, on the wrist, and is taken away as one", () => {
  let after = edits.placeJoint(doc(), "joints", "left_elbow", [50, 20]);
  after = edits.addHand(edits.placeJoint(after, "joints", "left_wrist", [60, 40]), "left_hand");
  assert.deepEqual(Object.keys(after.people[0].left_hand), [...HAND_21]);
  assert.deepEqual(queries.placeOf(after, { kind: "joint", part: "left_hand", name: "wrist" }), [60, 40]);
  assert.deepEqual(readDocument(writeDocument(after)).problems, []);
  assert.equal(queries.hasHand(edits.removeHand(after, "left_hand"), "left_hand"), false);
});

test("a hand at the picture's edge keeps its shape, without the joints that the node would not take", () => {
  let after = edits.placeJoint(doc(), "joints", "left_elbow", [50, 40]);
  after = edits.addHand(edits.placeJoint(after, "joints", "left_wrist", [50, 80]), "left_hand").people[0].left_hand;
  assert.deepEqual([after.middle_1, after.middle_4].map(({ y }) => y), [91.2, 108]);
  after = edits.setJoint(doc(), "joints", "left_elbow", [50, 60]);
  after = edits.addHand(edits.setJoint(after, "joints", "left_wrist", [50, 110]), "left_hand").people[0].left_hand;
  assert.deepEqual([Object.hasOwn(after, "wrist"), Object.hasOwn(after, "thumb_1"), Object.hasOwn(after, "middle_4")], [true, true, false]);
  assert.ok(Object.values(after).every(({ y }) => y <= 120));
});

test("people are added, chosen and removed; one is always there", () => {
  let after = edits.placeJoint(people.addPerson(doc()), "joints", "nose", [1, 1]);
  assert.equal(after.active, 1);
  assert.deepEqual(after.people[0].joints, {});
  after = people.removePerson(people.removePerson(after));
  assert.deepEqual([after.people.length, after.active], [1, 0]);
  for (let index = 0; index < MAX_PEOPLE + 5; index += 1) after = people.addPerson(after);
  assert.equal(after.people.length, MAX_PEOPLE);
  assert.equal(people.setActive(after, 9999).active, MAX_PEOPLE - 1);
});

test("a box is drawn from any corner, clipped, and without area taken away", () => {
  assert.deepEqual(edits.setBox(doc(), "roi_box", [50, 60], [-20, 10]).roi_box, [0, 10, 50, 60]);
  assert.equal(edits.setBox(doc(), "roi_box", [5, 5], [5.2, 60]).roi_box, null);
});

test("a box moves as one and stops at the picture's edge", () => {
  const boxed = edits.setBox(doc(), "full_box", [10, 10], [30, 40]);
  assert.deepEqual(edits.moveBox(boxed, "full_box", [5, -99]).full_box, [15, 0, 35, 30]);
  assert.deepEqual(edits.moveBox(boxed, "full_box", [999, 999]).full_box, [80, 50, 100, 80]);
});

test("handles move their sides, also past the other side, but never to nothing", () => {
  const boxed = edits.setBox(doc(), "roi_box", [10, 10], [30, 40]);
  assert.deepEqual(edits.resizeBox(boxed, "roi_box", "e", [50, 0]).roi_box, [10, 10, 50, 40]);
  assert.deepEqual(edits.resizeBox(boxed, "roi_box", "nw", [40, 20]).roi_box, [30, 20, 40, 40]);
  assert.equal(edits.resizeBox(boxed, "roi_box", "e", [10, 0]), boxed);
});

test("points are added up to the limit, moved and removed", () => {
  let after = edits.addPoint(edits.addPoint(doc(), "positive", [1, 2]), "positive", [3, 4]);
  after = edits.moveTarget(after, { kind: "positive", index: 0 }, [200, 5]);
  assert.deepEqual(after.positive, [[100, 5], [3, 4]]);
  assert.deepEqual(edits.removeTarget(after, { kind: "positive", index: 0 }).positive, [[3, 4]]);
  for (let index = 0; index < MAX_POINTS + 9; index += 1) after = edits.addPoint(after, "positive", [0, 0]);
  assert.equal(after.positive.length, MAX_POINTS);
});

test("a picture of another size scales everything, and back", () => {
  let start = edits.placeJoint(doc(), "joints", "neck", [10, 20]);
  start = edits.addPoint(edits.setBox(start, "roi_box", [10, 20], [50, 60]), "negative", [4, 6]);
  const twice = fitToPicture(start, 200, 240);
  assert.deepEqual(twice.people[0].joints.neck, { x: 20, y: 60, state: "given" });
  assert.deepEqual([twice.roi_box, twice.negative], [[20, 60, 100, 180], [[8, 18]]]);
  assert.deepEqual(fitToPicture(twice, 100, 80), start);
});

test("a text without a size takes the picture's, unscaled", () => {
  const { doc: read } = readDocument('{"positive": [[7, 8]]}');
  const fitted = fitToPicture(read, 50, 60);
  assert.deepEqual([fitted.width, fitted.height, fitted.positive], [50, 60, [[7, 8]]]);
});

test("missing joints are asked for in order, and hands only when begun", () => {
  const started = edits.placeJoint(doc(), "joints", "nose", [1, 1]);
  assert.equal(queries.missingJoints(started).length, 17);
  assert.deepEqual(queries.missingAfter(started, { part: "joints", name: "left_ear" }), { part: "joints", name: "neck" });
  const handed = edits.removeJoint(edits.addHand(started, "left_hand"), "left_hand", "thumb_4");
  assert.ok(queries.missingJoints(handed).some(({ part, name }) => part === "left_hand" && name === "thumb_4"));
});

test("the extent holds everything", () => {
  const far = edits.addPoint(readDocument('{"full_box": [1, 1, 90, 700]}').doc, "positive", [800.5, 3]);
  assert.deepEqual(queries.extentOf(far, [512, 512]), [801, 700]);
});

test("the active person's box has room round its joints and boxes and stays in the picture", () => {
  assert.equal(queries.personBox(doc(), [100, 80]), null);
  const ghosts = [[20, 20], [40, 40]].map(([x, y]) => ({ point: { x, y } }));
  assert.deepEqual(queries.personBox(doc(), [100, 80], ghosts), [15, 15, 45, 45]);
  const boxed = edits.setBox(edits.placeJoint(doc(), "joints", "neck", [50, 10]), "roi_box", [40, 20], [60, 50]);
  assert.deepEqual(queries.personBox(boxed, [100, 80]), [30, 0, 70, 60]);
});
