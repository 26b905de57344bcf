// The whole skeleton: moved, scaled, turned and mirrored without being bent; poses of the library.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HAND_21 } from "../../web/points/document/joints.mjs";
import { applyPose, poseNamed, POSES } from "../../web/points/document/poses.mjs";
import { personBox } from "../../web/points/document/queries.mjs";
import { status } from "../../web/points/document/status.mjs";
import { readDocument, writeDocument } from "../../web/points/document/reading.mjs";
import { insideMap, mirrorPerson, movePerson, rotatePerson, scalePerson, skeletonBox } from "../../web/points/document/transform.mjs";
import { draggedWhole, hitWhole, wholeFrameOf } from "../../web/points/input/whole.mjs";
import { Session } from "../../web/points/session.mjs";

const JOINTS = { nose: [50, 20], neck: [50, 30], right_hip: [40, 60], left_hip: [62, 60], right_knee: [38, 80] };
const document = (joints = JOINTS, extra = {}) => readDocument(JSON.stringify({
  width: 100, height: 100, people: [{ joints: Object.fromEntries(Object.entries(joints).map(([name, [x, y]]) => [name, { x, y }])) }], ...extra,
})).doc;
const places = (doc) => Object.fromEntries(Object.entries(doc.people[0].joints).map(([name, { x, y }]) => [name, [x, y]]));
const lengths = (doc) => {
  const all = Object.values(places(doc));
  return all.map(([x, y]) => Math.hypot(x - all[0][0], y - all[0][1]));
};

test("moving keeps the shape, and stops at the picture's edge", () => {
  assert.deepEqual(places(movePerson(document(), [5, -3])).nose, [55, 17]);
  const pushed = movePerson(document(), [500, -500]);
  assert.deepEqual(skeletonBox(pushed), [76, 0, 100, 60]);
  assert.deepEqual(lengths(pushed), lengths(document()));
});

test("scaling about a place, never below a few pixels, never beyond the picture", () => {
  assert.deepEqual(places(scalePerson(document(), 0.5, [50, 20])), { nose: [50, 20], neck: [50, 25], right_hip: [45, 40], left_hip: [56, 40], right_knee: [44, 50] });
  const [x0, y0, x1, y1] = skeletonBox(scalePerson(document(), 0, [50, 50]));
  assert.ok(Math.max(x1 - x0, y1 - y0) >= 7.9);
  const large = scalePerson(document(), 50, [50, 50]);
  assert.deepEqual(skeletonBox(large).map(Math.round).filter((value) => value < 0 || value > 100), []);
  const ratio = lengths(large)[1] / lengths(document())[1];
  lengths(large).forEach((length, index) => assert.ok(Math.abs(length - ratio * lengths(document())[index]) < 0.3));
});

test("turning by a quarter and back", () => {
  const turned = rotatePerson(document(), Math.PI / 2, [50, 50]);
  assert.deepEqual(places(turned).nose, [80, 50]);
  assert.deepEqual(places(rotatePerson(turned, -Math.PI / 2, [50, 50])), places(document()));
});

test("a mirror makes left joints of right ones, and twice is nothing", () => {
  const once = mirrorPerson(document());
  assert.deepEqual(places(once), { nose: [50, 20], neck: [50, 30], left_hip: [60, 60], right_hip: [38, 60], left_knee: [62, 80] });
  assert.deepEqual(places(mirrorPerson(once)), places(document()));
});

test("removed joints, states and hands go along", () => {
  const hand = Object.fromEntries(HAND_21.map((name, index) => [name, { x: 40 + index / 10, y: 60 }]));
  const doc = readDocument(JSON.stringify({ width: 100, height: 100, people: [{ joints: { right_wrist: { x: 40, y: 60, state: "detected" }, right_elbow: null, neck: { x: 50, y: 30 } }, right_hand: hand }] })).doc;
  const mirrored = mirrorPerson(doc).people[0];
  assert.deepEqual([mirrored.joints.left_elbow, mirrored.joints.left_wrist.state], [null, "detected"]);
  assert.equal(Object.keys(mirrored.left_hand).length, 21);
  assert.equal(movePerson(doc, [1, 1]).people[0].joints.right_elbow, null);
});

test("nothing to move is nothing done", () => {
  const empty = readDocument("").doc;
  assert.equal(movePerson(empty, [5, 5]), empty);
  assert.equal(mirrorPerson(empty), empty);
  assert.deepEqual(insideMap([0, 0, 0, 0], [10, 10])([4, 4]), [4, 4]);
});

test("the frame's handles: corners scale against the other corner, the round one turns, its inside moves", () => {
  const doc = document();
  const frame = wholeFrameOf(doc);
  assert.deepEqual(hitWhole(doc, [frame[2], frame[3]], 3), { kind: "whole", handle: "se" });
  assert.deepEqual(hitWhole(doc, [(frame[0] + frame[2]) / 2, frame[1]], 3), { kind: "whole", handle: "turn" });
  assert.deepEqual(hitWhole(doc, [50, 50], 3), { kind: "whole", handle: "move" });
  assert.equal(hitWhole(doc, [2, 2], 1), null);
  const half = draggedWhole({ before: doc, from_px: [frame[2], frame[3]], whole: "se" }, [(frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2]);
  assert.ok(Math.abs((skeletonBox(half)[3] - skeletonBox(half)[1]) / 60 - 0.5) < 0.01);
  const turned = draggedWhole({ before: doc, from_px: [50, 10], whole: "turn" }, [95, 50]);
  assert.ok(places(turned).nose[0] > 60);
});

test("the tool works by pointer and by keys, each one step of undo", () => {
  const session = new Session();
  session.load(JSON.stringify({ width: 100, height: 100, people: [{ joints: { nose: { x: 50, y: 20 }, neck: { x: 50, y: 60 } } }] }));
  session.showPicture([100, 100]);
  session.setTool("whole");
  session.pointerDown([50, 40], 4);
  session.pointerMove([60, 45], 4);
  session.pointerMove([70, 40], 4);
  session.pointerUp();
  assert.deepEqual(places(session.doc), { nose: [70, 20], neck: [70, 60] });
  session.undo();
  assert.deepEqual(places(session.doc), { nose: [50, 20], neck: [50, 60] });
  session.perform({ name: "nudge", by_px: [0, 10] });
  session.perform({ name: "scale", by: 1.05 });
  assert.deepEqual(places(session.doc), { nose: [50, 29], neck: [50, 71] });
  session.undo();
  assert.deepEqual(places(session.doc), { nose: [50, 20], neck: [50, 60] });
  session.setTool("select");
  assert.equal(session.perform({ name: "scale", by: 1.05 }), false);
});

test("every pose of the library is a whole body inside of its field", () => {
  assert.equal(POSES.length, 10);
  for (const name of POSES) {
    const all = Object.values(poseNamed(name));
    assert.equal(all.length, 18);
    assert.ok(all.flat().every((value) => value >= 0 && value <= 100), name);
  }
});

test("a pose fills the full box or the picture, and is given", () => {
  const filled = applyPose(document({}, { full_box: [10, 10, 50, 90] }), "standing", [100, 100]);
  const [x0, y0, x1, y1] = skeletonBox(filled);
  assert.ok(x0 >= 9.9 && x1 <= 50.1 && Math.abs(y0 - 10) < 0.2 && Math.abs(y1 - 90) < 0.2);
  assert.equal(filled.people[0].joints.nose.state, "given");
  const whole = skeletonBox(applyPose(document({}), "lying", [300, 100]));
  assert.ok(whole.every((value, side) => value >= 0 && value <= [300, 100][side % 2]));
});

test("a pose leaves the joints that are seen, and is laid over them", () => {
  const seen = { neck: { x: 200, y: 100, state: "detected" }, right_shoulder: { x: 186, y: 102, state: "detected" }, left_shoulder: { x: 214, y: 102, state: "detected" } };
  const doc = readDocument(JSON.stringify({ width: 400, height: 400, people: [{ joints: seen }] })).doc;
  const { joints } = applyPose(doc, "standing", [400, 400]).people[0];
  assert.deepEqual(joints.neck, seen.neck);
  assert.equal(Object.keys(joints).length, 18);
  assert.ok(Math.abs(joints.right_hip.x - 190) < 4 && joints.right_ankle.y > 220);
});

/** A portrait of 512 x 512 from head to hips, the hips at its lower edge; what is seen of it lies as the standing pose has it. */
function portrait(extra = {}) {
  const pose = poseNamed("standing");
  const seen = ["nose", "neck", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_hip", "left_hip"];
  const joints = seen.map((name) => [name, { x: 256 + (pose[name][0] - 50) * 12, y: 60 + (pose[name][1] - 11) * 12, state: "detected" }]);
  return { width: 512, height: 512, people: [{ joints: { ...Object.fromEntries(joints), ...extra } }] };
}

function posed(extra = {}) {
  const session = new Session();
  session.load(JSON.stringify(portrait(extra)));
  session.showPicture([512, 512]);
  session.takePose("standing");
  return session;
}

test("legs of a half-length portrait lie where they belong, below the picture, as far as the node takes them", () => {
  const session = posed({ left_ankle: { x: 300, y: 500, state: "given" }, right_ankle: null });
  const { joints } = session.doc.people[0];
  assert.deepEqual([joints.right_knee, joints.left_knee], [{ x: 184, y: 768, state: "given" }, { x: 328, y: 768, state: "given" }]);
  assert.deepEqual([Object.hasOwn(joints, "left_ankle"), joints.right_ankle], [false, null]);
  assert.ok(Object.values(joints).filter(Boolean).every(({ y }) => y <= 768));
});

test("joints outside are written, read, said, and undone as others are", () => {
  const session = posed();
  const before = JSON.stringify(portrait());
  assert.deepEqual(readDocument(session.text), { doc: session.doc, problems: [] });
  assert.equal(writeDocument(session.doc), session.text);
  session.select({ kind: "joint", part: "joints", name: "right_knee" });
  assert.match(status(session), /right knee \(given\) at 184, 768/);
  session.undo();
  assert.deepEqual([session.text, session.selection], [before, null]);
  session.redo();
  assert.equal(session.doc.people[0].joints.right_knee.y, 768);
});

test("a joint outside is moved from where it lies, but goes no further out", () => {
  const session = posed();
  const knee = () => places(session.doc).right_knee;
  session.select({ kind: "joint", part: "joints", name: "right_knee" });
  session.perform({ name: "nudge", by_px: [-10, 0] });
  assert.deepEqual(knee(), [174, 768]);
  session.perform({ name: "nudge", by_px: [0, 10] });
  assert.deepEqual(knee(), [174, 768]);
  session.pointerDown([174, 768], 4);
  session.pointerMove([184, 700], 4);
  session.pointerUp();
  assert.deepEqual(knee(), [184, 700]);
  session.pointerDown([184, 700], 4);
  session.pointerMove([190, 400], 4);
  session.pointerUp();
  session.perform({ name: "nudge", by_px: [0, 1000] });
  assert.deepEqual(knee(), [190, 512]);
});

test("a skeleton that reaches outside keeps its size when it is moved, and its frame and the view hold all of it", () => {
  const { doc } = posed();
  const moved = movePerson(doc, [5, 50]);
  assert.deepEqual(places(moved).right_knee, [189, 768]);
  lengths(moved).forEach((length, index) => assert.ok(Math.abs(length - lengths(doc)[index]) < 0.1));
  assert.deepEqual([wholeFrameOf(doc)[3], personBox(doc, [512, 512])[3]], [768, 768]);
  assert.equal(hitWhole(doc, [256, 700], 3).handle, "move");
  assert.deepEqual(skeletonBox(mirrorPerson(doc)), skeletonBox(doc));
});
