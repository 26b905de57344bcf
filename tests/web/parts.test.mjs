// History, view, hit test, limb hints, keys, import of detected people.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as people from "../../web/points/document/people.mjs";
import * as edits from "../../web/points/document/edits.mjs";
import { bodyHeight, limbLength, longLimbs, reachOf } from "../../web/points/document/hints.mjs";
import { History } from "../../web/points/document/history.mjs";
import { boxHandles, hitTest, sameTarget } from "../../web/points/input/hits.mjs";
import { BODY_18, HAND_21, HAND_EDGES, jointColour, limbColour, LIMBS } from "../../web/points/document/joints.mjs";
import { keyCommand } from "../../web/points/input/keys.mjs";
import { importPeople } from "../../web/points/document/detected.mjs";
import { emptyDocument } from "../../web/points/document/reading.mjs";
import * as views from "../../web/points/input/view.mjs";

function near(actual, expected) {
  actual.forEach((value, index) => assert.ok(Math.abs(value - expected[index]) < 1e-6, `${actual} is not ${expected}`));
}

test("bodies have 18 joints and 17 limbs, hands 21 and 20, each with a colour", () => {
  assert.deepEqual([BODY_18.length, LIMBS.length, HAND_21.length, HAND_EDGES.length], [18, 17, 21, 20]);
  assert.ok(LIMBS.flat().every((name) => BODY_18.includes(name)) && HAND_EDGES.flat().every((name) => HAND_21.includes(name)));
  assert.equal(new Set(BODY_18.map((name) => jointColour("joints", name))).size, 18);
  assert.equal(limbColour("left_hand", 0), jointColour("left_hand", "thumb_1"));
});

test("history undoes and redoes without limit and forgets the undone after a new step", () => {
  const history = new History(0);
  for (let step = 1; step <= 5000; step += 1) history.push(step);
  while (history.canUndo) history.undo();
  assert.equal(history.present, 0);
  assert.equal(history.undo(), 0);
  assert.equal(history.redo(), 1);
  history.push(99);
  assert.equal(history.canRedo, false);
  assert.equal(history.undo(), 1);
});

test("steps with one key are one step, unless something came between", () => {
  const history = new History("a");
  for (const [state, key] of [["b", "n"], ["c", "n"], ["d", null], ["e", "n"]]) history.push(state, key);
  assert.deepEqual([history.undo(), history.undo(), history.undo()], ["d", "c", "a"]);
  history.push("a");
  assert.equal(history.canRedo, true);
});

test("the fitted view shows the whole picture in the middle", () => {
  const view = views.fitView([300, 200], [1000, 100]);
  near(views.toScreen(view, [500, 50]), [150, 100]);
  near(views.toScreen(view, [0, 0]).slice(0, 1), [views.MARGIN]);
});

test("a box of the picture can be shown in the middle, even one without area", () => {
  const view = views.fitBox([300, 200], [100, 100, 120, 160]);
  near(views.toScreen(view, [110, 130]), [150, 100]);
  assert.ok(Number.isFinite(views.fitBox([1, 1], [5, 5, 5, 5]).scale));
});

test("screen and picture are each other's inverse after any zooming and panning", () => {
  let view = views.fitView([320, 240], [640, 448]);
  view = views.panBy(views.zoomAt(view, 3.7, [20, 30]), [-5, 8]);
  near(views.toPicture(view, views.toScreen(view, [123.4, 56.7])), [123.4, 56.7]);
});

test("zooming keeps the place under the pointer and has limits", () => {
  const view = views.fitView([320, 240], [640, 448]);
  const place = views.toPicture(view, [100, 90]);
  near(views.toPicture(views.zoomAt(view, 2, [100, 90]), [100, 90]), place);
  assert.ok(Number.isFinite(views.zoomAt(view, Infinity, [1, 1]).scale));
  assert.ok(views.zoomAt(view, 0, [1, 1]).scale > 0);
});

test("two fingers keep what they touch", () => {
  const view = { scale: 2, x: 10, y: 20 };
  const before = [[50, 50], [150, 50]];
  const after = [[40, 80], [240, 80]];
  const pinched = views.pinch(view, before, after);
  assert.equal(pinched.scale, 4);
  near(views.toPicture(pinched, after[0]), views.toPicture(view, before[0]));
  near(views.toPicture(pinched, after[1]), views.toPicture(view, before[1]));
});

test("the picture cannot be lost", () => {
  const view = views.keepVisible({ scale: 1, x: 9999, y: -9999 }, [300, 200], [100, 100]);
  assert.ok(view.x < 300 && view.y + 100 > 0);
});

function scene() {
  let doc = edits.placeJoint(emptyDocument(100, 100), "joints", "neck", [50, 50]);
  doc = edits.setBox(doc, "roi_box", [20, 20], [80, 80]);
  return edits.addPoint(doc, "positive", [52, 50]);
}

test("the nearest joint or point is hit, and joints before boxes", () => {
  assert.deepEqual(hitTest(scene(), [50.5, 50], 5), { kind: "joint", part: "joints", name: "neck" });
  assert.deepEqual(hitTest(scene(), [53, 50], 5), { kind: "positive", index: 0 });
  assert.deepEqual(hitTest(scene(), [20, 21], 5), { kind: "box", box: "roi_box", handle: "nw" });
  assert.deepEqual(hitTest(scene(), [35, 80], 3), { kind: "box", box: "roi_box", handle: "move" });
  assert.equal(hitTest(scene(), [40, 40], 3), null);
});

test("a joint of another person is a way to that person", () => {
  const doc = people.addPerson(scene());
  assert.deepEqual(hitTest(doc, [49, 50], 2), { kind: "person", person: 0 });
});

test("a box has eight handles on its outline", () => {
  const handles = Object.fromEntries(boxHandles([0, 0, 10, 20]));
  assert.deepEqual([handles.nw, handles.e, handles.s, handles.se], [[0, 0], [10, 10], [5, 20], [10, 20]]);
  assert.equal(Object.keys(handles).length, 8);
});

test("targets are the same whatever handle was hit", () => {
  assert.ok(sameTarget({ kind: "box", box: "roi_box", handle: "n" }, { kind: "box", box: "roi_box" }));
  assert.ok(!sameTarget({ kind: "positive", index: 0 }, { kind: "negative", index: 0 }));
  assert.ok(!sameTarget(null, { kind: "positive", index: 0 }) && sameTarget(null, null));
});

function upright() {
  const at = (x, y) => ({ x, y, state: "given" });
  return {
    nose: at(100, 88), neck: at(100, 100), right_shoulder: at(89.5, 100), left_shoulder: at(110.5, 100),
    right_elbow: at(89.5, 117.5), right_wrist: at(89.5, 132.5), right_hip: at(94, 130), left_hip: at(106, 130),
  };
}

test("a body's height comes from its limbs, and a missing joint may lie a limb away", () => {
  assert.ok(Math.abs(bodyHeight(upright()) - 100) < 3);
  const [circle] = reachOf(upright(), "right_knee");
  assert.deepEqual([circle.x, circle.y], [94, 130]);
  assert.ok(Math.abs(circle.radius - 24) < 1);
  assert.deepEqual(reachOf({}, "neck"), []);
});

test("a limb may be as long as its twin", () => {
  const joints = { ...upright(), left_elbow: { x: 110.5, y: 130 } };
  assert.ok(limbLength(joints, "right_shoulder", "right_elbow") >= 30);
});

test("a limb that is far too long is named, a foreshortened one is not", () => {
  assert.deepEqual(longLimbs(upright()), []);
  assert.deepEqual(longLimbs({ ...upright(), right_wrist: { x: 89.5, y: 119 } }), []);
  assert.deepEqual(longLimbs({ ...upright(), right_wrist: { x: 89.5, y: 180 } }), [["right_elbow", "right_wrist"]]);
});

test("keys give commands", () => {
  const command = (key, more = {}) => keyCommand({ key, ...more });
  assert.deepEqual(command("ArrowLeft"), { name: "nudge", by_px: [-1, 0] });
  assert.deepEqual(command("ArrowDown", { shiftKey: true }), { name: "nudge", by_px: [0, 10] });
  assert.deepEqual(["PageDown", "PageUp", "Home", "End"].map((key) => command(key).name), ["next", "previous", "first", "last"]);
  assert.deepEqual(command("z", { ctrlKey: true }), { name: "undo" });
  assert.deepEqual(command("Z", { metaKey: true, shiftKey: true }), { name: "redo" });
  assert.deepEqual(command("y", { ctrlKey: true }), { name: "redo" });
  assert.deepEqual(["+", "-", "0"].map((key) => command(key).name), ["zoomIn", "zoomOut", "zoomFit"]);
  assert.deepEqual(["Escape", "Delete", "Backspace"].map((key) => command(key).name), ["escape", "remove", "remove"]);
  for (const free of ["constructor", "toString", "F5", "q", "Tab"]) assert.equal(command(free), null);
  assert.equal(command("c", { ctrlKey: true }), null);
  assert.equal(command("p", { altKey: true }), null);
  const held = (key, more = {}) => command(key, { repeat: true, ...more })?.name ?? null;
  assert.deepEqual(["Enter", "o", "m", "ArrowUp", "PageDown", "+"].map((key) => held(key)), [null, null, null, "nudge", "next", "zoomIn"]);
  assert.equal(held("z", { ctrlKey: true }), "undo");
  const turn = { name: "rotate", by: command("[").by };
  assert.deepEqual([command("[", { altKey: true }), command("[", { altKey: true, ctrlKey: true })], [turn, turn]);
});

function detected(x, names = ["nose", "neck", "right_shoulder"]) {
  const flat = BODY_18.flatMap((name, index) => (names.includes(name) ? [x, 10 + index * 10, 1] : [0, 0, 0]));
  return { pose_keypoints_2d: flat, hand_left_keypoints_2d: null, face_keypoints_2d: null };
}

test("keyboards with other letters give the commands of the same keys", () => {
  assert.deepEqual(keyCommand({ key: "\u044f", code: "KeyZ", ctrlKey: true }), { name: "undo" });
  assert.deepEqual(keyCommand({ key: "\u03c0", code: "KeyP" }), { name: "tool", tool: "place" });
  assert.deepEqual([keyCommand({ key: "w", code: "KeyZ" }), keyCommand({ key: "\u00fc", code: "BracketLeft" })], [{ name: "tool", tool: "whole" }, null]);
});

test("detected joints are imported at the picture's size", () => {
  const frame = { people: [detected(50)], canvas_width: 200, canvas_height: 100 };
  const { doc, joints, people } = importPeople(emptyDocument(100, 100), frame);
  assert.deepEqual([joints, people], [3, 1]);
  assert.deepEqual(doc.people[0].joints.neck, { x: 25, y: 20, state: "detected" });
});

test("joints that the detector is unsure of are not imported, and nobody is found by them alone", () => {
  const unsure = (confidences) => BODY_18.flatMap((_, index) => [50, 10 + index, confidences[index] ?? 0.29]);
  const people = [{ pose_keypoints_2d: unsure([0.9, 0.3]) }, { pose_keypoints_2d: unsure([]) }];
  const found = importPeople(emptyDocument(100, 100), { people, canvas_width: 100, canvas_height: 100 });
  assert.deepEqual([found.people, Object.keys(found.doc.people[0].joints)], [1, ["nose", "neck"]]);
});

test("an import keeps what was given, moved and taken away, and fills the rest", () => {
  let doc = edits.placeJoint(emptyDocument(100, 100), "joints", "right_knee", [10, 90]);
  const frame = { people: [detected(50)], canvas_width: 100, canvas_height: 100 };
  doc = importPeople(doc, frame).doc;
  doc = edits.removeJoint(edits.moveJoint(doc, "joints", "nose", [51, 11]), "joints", "neck");
  const again = importPeople(doc, frame).doc;
  assert.deepEqual(again, doc);
  assert.deepEqual(Object.keys(again.people[0].joints).sort(), ["neck", "nose", "right_knee", "right_shoulder"]);
});

test("joints that were only proposed are imported as such", () => {
  const person = { ...detected(50), figura_joint_states: ["detected", "proposed", "<b>", ...Array(15).fill(null)] };
  const { doc } = importPeople(emptyDocument(100, 100), { people: [person], canvas_width: 100, canvas_height: 100 });
  assert.deepEqual(["nose", "neck", "right_shoulder"].map((name) => doc.people[0].joints[name].state), ["detected", "proposed", "detected"]);
});

test("several people go to those who are there, and further ones are added", () => {
  const one = importPeople(emptyDocument(200, 200), { people: [detected(150)], canvas_width: 200, canvas_height: 200 }).doc;
  const frame = { people: [detected(20, BODY_18), detected(152)], canvas_width: 200, canvas_height: 200 };
  const { people } = importPeople(one, frame).doc;
  assert.equal(people.length, 2);
  assert.deepEqual([people[0].joints.nose.x, people[1].joints.nose.x], [152, 20]);
});

test("an answer without people, or of another shape, imports nothing", () => {
  const doc = emptyDocument(10, 10);
  for (const frame of [{}, null, { people: null }, { people: [null, 3, { pose_keypoints_2d: [1, 2] }] },
    { people: [{ pose_keypoints_2d: Array(54).fill(NaN) }], canvas_width: "x" }]) {
    assert.deepEqual(importPeople(doc, frame), { doc, joints: 0, people: 0 });
  }
});
