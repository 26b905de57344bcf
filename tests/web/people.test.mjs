// Boxes and points belong to a person; sizes and shapes of pictures; what the kind of prompt lacks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../../web/points/document/history.mjs";
import { addPerson, removePerson, setActive } from "../../web/points/document/people.mjs";
import { lackingIn, unusedIn } from "../../web/points/document/prompt.mjs";
import { readDocument, writeDocument } from "../../web/points/document/reading.mjs";
import { differInShape, fitKeepingShape, fitToPicture } from "../../web/points/document/sizes.mjs";
import { Session } from "../../web/points/session.mjs";

const TEXT = JSON.stringify({
  version: 1, width: 100, height: 100, active: 0,
  people: [{ joints: { nose: { x: 10, y: 10, state: "given" } } }, { joints: {}, full_box: [50, 50, 90, 90], negative: [[60, 60]] }],
  roi_box: [1, 2, 30, 40], full_box: null, positive: [[5, 5]], negative: [],
});
const read = (text) => readDocument(text).doc;

test("each person keeps its boxes and points while another one is active", () => {
  const second = setActive(read(TEXT), 1);
  assert.deepEqual([second.roi_box, second.full_box, second.positive, second.negative], [null, [50, 50, 90, 90], [], [[60, 60]]]);
  assert.deepEqual(setActive(second, 0), read(TEXT));
});

test("what is written for the others is read again, and the text stays as it is", () => {
  assert.equal(writeDocument(read(TEXT)), TEXT);
  const second = writeDocument(setActive(read(TEXT), 1));
  assert.deepEqual(read(second), setActive(read(TEXT), 1));
  assert.deepEqual(JSON.parse(second).people[0].roi_box, [1, 2, 30, 40]);
});

test("a new person begins without boxes, and a removed one takes its own along", () => {
  const three = addPerson(read(TEXT));
  assert.deepEqual([three.active, three.roi_box, three.positive], [2, null, []]);
  const left = removePerson(setActive(three, 0));
  assert.deepEqual([left.people.length, left.full_box, left.roi_box], [2, [50, 50, 90, 90], null]);
});

test("what a person says itself counts when nothing stands on top", () => {
  const doc = read('{"people": [{"joints": {}, "roi_box": [1, 1, 5, 5], "positive": [[2, 2]]}]}');
  assert.deepEqual([doc.roi_box, doc.positive], [[1, 1, 5, 5], [[2, 2]]]);
  assert.match(readDocument('{"people": [{"full_box": [1, 1, 1, 5]}]}').problems[0], /^people\[0\]\.full_box has no area/);
});

test("a picture of another size scales everybody's boxes", () => {
  const doc = fitToPicture(read(TEXT), 200, 100);
  assert.deepEqual([doc.roi_box, doc.people[1].places.full_box, doc.people[1].places.negative], [[2, 2, 60, 40], [100, 50, 180, 90], [[120, 60]]]);
});

test("a picture of another shape is told from one of another size", () => {
  assert.equal(differInShape([640, 448], [320, 224]), false);
  assert.equal(differInShape([640, 448], [512, 358]), false);
  assert.equal(differInShape([640, 448], [512, 512]), true);
  assert.deepEqual(fitKeepingShape(read('{"width": 200, "height": 100, "positive": [[100, 50], [0, 0]]}'), 100, 100).positive, [[50, 50], [0, 25]]);
});

test("points of another shape say so until something is chosen or edited", () => {
  const begin = () => {
    const session = new Session();
    session.load('{"width": 200, "height": 100, "positive": [[100, 0]]}');
    session.showPicture([100, 100]);
    return session;
  };
  const session = begin();
  assert.deepEqual(session.shape, { from: [200, 100], to: [100, 100] });
  assert.deepEqual(session.doc.positive, [[50, 0]]);
  session.takeShape(true);
  assert.deepEqual([session.shape, session.doc.positive], [null, [[50, 25]]]);
  session.undo();
  assert.notEqual(session.shape, null);
  const stretched = begin();
  stretched.takeShape(false);
  assert.deepEqual([stretched.shape, stretched.doc.positive], [null, [[50, 0]]]);
  const none = new Session();
  none.load('{"width": 200, "height": 100}');
  none.showPicture([100, 100]);
  assert.equal(none.shape, null);
});

test("what a kind of prompt lacks and does not show", () => {
  const ghosts = { person: { joints: {}, left_hand: {}, right_hand: {} } };
  const kind = (name, joints, boxes, more = {}) => ({ name, joints, boxes, hasBox: false, hasPose: false, ...more });
  const doc = read('{"full_box": [1, 1, 9, 9]}');
  assert.equal(lackingIn(doc, kind("pose", true, []), ghosts), "joints");
  assert.equal(lackingIn(doc, kind("pose", true, [], { hasPose: true }), ghosts), null);
  assert.equal(lackingIn(doc, kind("roi_box", false, ["roi_box"]), ghosts), "roi_box");
  assert.equal(lackingIn(doc, kind("roi_box", false, ["roi_box"], { hasBox: true }), ghosts), null);
  assert.equal(lackingIn(read(""), kind("pose", true, []), ghosts), null);
  assert.deepEqual(unusedIn(doc, kind("pose", true, [])), ["full_box"]);
  assert.deepEqual(unusedIn(read(TEXT), kind("full_box", false, ["full_box"])), ["joints", "roi_box"]);
  assert.deepEqual(unusedIn(doc, null), []);
});

test("a history goes on in the session of a node that was made anew", () => {
  const history = new History("a");
  for (const state of ["b", "c"]) history.push(state);
  history.reach("b");
  assert.deepEqual([history.present, history.canUndo, history.canRedo], ["b", true, true]);
  history.reach("c");
  assert.deepEqual([history.present, history.canRedo], ["c", false]);
  history.reach("x");
  assert.deepEqual([history.undo(), history.undo()], ["c", "b"]);
  const session = new Session();
  session.load('{"positive": [[1, 1]]}');
  const old = new History("");
  old.push('{"positive": [[1, 1]]}');
  old.push('{"positive": [[2, 2]]}');
  session.inherit(old);
  assert.deepEqual([session.text, session.history.canUndo, session.history.canRedo], ['{"positive": [[1, 1]]}', true, true]);
});

test("a copy of a history goes on by itself", () => {
  const history = new History("a");
  for (const state of ["b", "c"]) history.push(state);
  history.undo();
  const copy = history.copy();
  assert.deepEqual([copy.present, copy.redo(), copy.undo(), copy.undo()], ["b", "c", "b", "a"]);
  copy.push("x");
  assert.deepEqual([history.present, history.redo(), history.undo(), history.undo()], ["b", "c", "b", "a"]);
});

test("placing goes on with a joint that is missing, whoever is active and whatever was put in meanwhile", () => {
  const session = new Session();
  session.showPicture([100, 100]);
  const joint = (x, y) => ({ x, y, state: "given" });
  const second = { joints: { nose: joint(80, 8), neck: joint(80, 20) } };
  session.load(JSON.stringify({ width: 100, height: 100, people: [{ joints: { nose: joint(1, 1) } }, second] }));
  session.setTool("place");
  assert.equal(session.next.name, "neck");
  session.setPerson(1);
  assert.equal(session.next.name, "right_shoulder");
  session.pointerDown([5, 5], 4);
  session.pointerUp();
  assert.deepEqual(session.doc.people[1].joints.neck, joint(80, 20));
  session.addPerson();
  assert.equal(session.next.name, "nose");
  const found = { pose_keypoints_2d: [40, 40, 1, 40, 50, 1, ...Array(48).fill(0)] };
  session.importPeople({ people: [found], canvas_width: 100, canvas_height: 100 });
  assert.equal(session.next.name, "right_shoulder");
  session.removePerson();
  assert.equal(session.next.name, "right_elbow");
});

test("a joint that an import took away, or a picture that came while it was placed, is selected no more", () => {
  const session = new Session();
  session.showPicture([100, 100]);
  const found = (...flat) => ({ people: [{ pose_keypoints_2d: [...flat, ...Array(54 - flat.length).fill(0)] }], canvas_width: 100, canvas_height: 100 });
  session.importPeople(found(40, 40, 1, 40, 50, 1));
  session.select({ kind: "joint", part: "joints", name: "neck" });
  session.importPeople(found(40, 40, 1));
  assert.deepEqual([session.selection, session.perform({ name: "occluded" })], [null, false]);
  session.setTool("place");
  session.pointerDown([5, 5], 4);
  session.showPicture([200, 100]);
  assert.deepEqual([session.selection, session.perform({ name: "occluded" })], [null, false]);
});
