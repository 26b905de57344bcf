// Ghosts: joints that came in with the connected pose, shown beside the text and adopted into it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as edits from "../../web/points/document/edits.mjs";
import { findGhosts, NO_GHOSTS } from "../../web/points/document/ghosts.mjs";
import { hitTest, sameTarget } from "../../web/points/input/hits.mjs";
import { BODY_18, HAND_21 } from "../../web/points/document/joints.mjs";
import { emptyDocument } from "../../web/points/document/reading.mjs";
import { Session } from "../../web/points/session.mjs";
import { status } from "../../web/points/document/status.mjs";

const REACH = 4;
const SEEN = { nose: [50, 10], neck: [50, 20], right_hip: [45, 50] };
const PROPOSED = { right_knee: [45, 70], right_ankle: [45, 90] };

/** What came in: people of {joint: [x, y]}; the joints of PROPOSED are marked as such. */
function incoming(...people) {
  const flat = (joints) => BODY_18.flatMap((name) => (joints[name] ? [...joints[name], 1] : [0, 0, 0]));
  const states = (joints) => BODY_18.map((name) => (joints[name] ? (name in PROPOSED ? "proposed" : "detected") : null));
  return {
    people: people.map((joints) => ({ pose_keypoints_2d: flat(joints), figura_joint_states: states(joints) })),
    canvas_width: 100, canvas_height: 100, box: null,
  };
}

function begin(text = "", pose = incoming({ ...SEEN, ...PROPOSED }), person = -1) {
  const texts = [];
  const session = new Session({ onCommit: (written) => texts.push(written) });
  session.load(text);
  session.showPicture([100, 100]);
  session.showIncoming(pose, person);
  return { session, texts };
}

function drag(session, from, ...to) {
  session.pointerDown(from, REACH);
  for (const place of to) session.pointerMove(place, REACH);
  session.pointerUp();
}

const joints = (session) => JSON.parse(session.text).people[0].joints;
const names = (session) => Object.keys(session.ghosts.person.joints);
const points = (placed) => JSON.stringify({ people: [{ joints: placed }] });

test("what came in is shown with its states and writes nothing", () => {
  const { session, texts } = begin();
  assert.deepEqual(names(session), [...Object.keys(SEEN), ...Object.keys(PROPOSED)]);
  assert.deepEqual(session.ghosts.person.joints.right_knee, { x: 45, y: 70, state: "proposed" });
  assert.equal(session.ghosts.person.joints.neck.state, "detected");
  assert.match(status(session), /5 joints came in/);
  session.pointerMove([45, 70], REACH);
  assert.deepEqual([session.hover.kind, session.hover.name], ["ghost", "right_knee"]);
  assert.deepEqual([session.text, texts, session.history.canUndo], ["", [], false]);
});

test("joints of the text win, also those that were taken away", () => {
  const { session } = begin(points({ neck: { x: 9, y: 9 }, nose: null }));
  assert.deepEqual(names(session), ["right_hip", "right_knee", "right_ankle"]);
});

test("a click adopts a ghost where it lies: a seen joint stays detected, a proposed one is given", () => {
  const { session, texts } = begin();
  drag(session, [51, 20]);
  assert.deepEqual(joints(session), { neck: { x: 50, y: 20, state: "detected" } });
  drag(session, [45, 71]);
  assert.deepEqual(joints(session).right_knee, { x: 45, y: 70, state: "given" });
  assert.deepEqual([texts.length, session.selection.name], [2, "right_knee"]);
  assert.ok(!names(session).includes("right_knee"));
  session.undo();
  session.undo();
  assert.equal(session.text, "");
  assert.ok(names(session).includes("right_knee"));
});

test("a drag adopts and moves in one step, and Esc takes both back", () => {
  const { session, texts } = begin();
  drag(session, [46, 70], [50, 70], [66, 75]);
  assert.deepEqual(joints(session), { right_knee: { x: 65, y: 75, state: "given" } });
  drag(session, [50, 20], [50, 25]);
  assert.deepEqual(joints(session).neck, { x: 50, y: 25, state: "detected", moved: true });
  assert.equal(texts.length, 2);
  session.undo();
  session.pointerDown([50, 20], REACH);
  session.pointerMove([80, 80], REACH);
  assert.ok(session.perform({ name: "escape" }));
  session.pointerUp();
  assert.deepEqual([texts.length, names(session).includes("neck"), session.selection], [3, true, null]);
});

test("other tools do not touch ghosts, and the place tool asks only for what is still missing", () => {
  const { session } = begin();
  session.setTool("positive");
  drag(session, [50, 20]);
  assert.deepEqual(JSON.parse(session.text).positive, [[50, 20]]);
  session.setTool("place");
  assert.equal(session.next.name, "right_shoulder");
  drag(session, [45, 70]);
  assert.deepEqual(Object.keys(joints(session)), ["right_shoulder"]);
  const whole = begin("", incoming(Object.fromEntries(BODY_18.map((name, index) => [name, [50, 5 * index]])))).session;
  whole.setTool("place");
  assert.equal(whole.tool, "select");
});

test("all ghosts are adopted at once, in one step, with the states they have", () => {
  const { session, texts } = begin(points({ neck: { x: 48, y: 22, state: "occluded" } }));
  const before = session.text;
  assert.ok(session.adoptAll());
  assert.deepEqual(Object.fromEntries(Object.entries(joints(session)).map(([name, { state }]) => [name, state])), {
    nose: "detected", neck: "occluded", right_hip: "detected", right_knee: "proposed", right_ankle: "proposed",
  });
  assert.deepEqual([names(session), session.hasGhosts, session.adoptAll(), texts.length], [[], false, false, 1]);
  assert.match(status(session), /Imported 4 joints/);
  session.undo();
  assert.equal(session.text, before);
});

test("the list adopts a ghost without a pointer, and arrows move it on", () => {
  const { session } = begin();
  session.adopt("joints", "right_ankle");
  session.perform({ name: "nudge", by_px: [1, 0] });
  assert.deepEqual(joints(session).right_ankle, { x: 46, y: 90, state: "given" });
  session.adopt("joints", "left_ear");
  assert.deepEqual(Object.keys(joints(session)), ["right_ankle"]);
});

test("a joint that would come back is deleted for good; one that would not is only gone", () => {
  const { session } = begin(points({ left_knee: { x: 60, y: 70 } }));
  session.adopt("joints", "right_knee");
  assert.ok(session.perform({ name: "remove" }));
  assert.equal(joints(session).right_knee, null);
  assert.ok(!names(session).includes("right_knee"));
  session.select({ kind: "joint", part: "joints", name: "left_knee" });
  session.perform({ name: "remove" });
  assert.deepEqual(joints(session), { right_knee: null });
});

test("hands come in with their person, and a hand begins as the one that came in", () => {
  const pose = incoming(SEEN);
  pose.people[0].hand_left_keypoints_2d = HAND_21.flatMap((_, index) => [60 + index, 50, index % 2]);
  const { session } = begin("", pose);
  assert.equal(Object.keys(session.ghosts.person.left_hand).length, 10);
  session.toggleHand("left_hand");
  assert.deepEqual(JSON.parse(session.text).people[0].left_hand.thumb_1, { x: 61, y: 50, state: "detected" });
  assert.equal(Object.keys(JSON.parse(session.text).people[0].left_hand).length, 10);
});

test("of several people the ghosts are of the one that is meant; until then each can be taken", () => {
  const more = { ...SEEN, left_hip: [55, 50] };
  const other = { nose: [10, 10], neck: [10, 20] };
  const pose = incoming(other, more);
  const { session } = begin("", pose);
  assert.equal(session.ghosts.person.joints.nose.x, 50);
  assert.equal(session.ghosts.others.length, 1);
  drag(session, [10, 20]);
  assert.deepEqual(joints(session), { neck: { x: 10, y: 20, state: "detected" } });
  assert.deepEqual([session.ghosts.person.joints, session.ghosts.others], [{ nose: { x: 10, y: 10, state: "detected" } }, []]);
  session.undo();
  session.showIncoming(pose, 0);
  assert.equal(session.ghosts.person.joints.nose.x, 10);
  assert.deepEqual(session.ghosts.others, []);
  session.showIncoming(pose, 2);
  assert.equal(session.hasGhosts, false);
});

test("a box says which person is meant, the text's before the connected one", () => {
  const pose = { ...incoming({ nose: [10, 10], neck: [10, 20] }, SEEN), box: [0, 0, 30, 30] };
  const doc = emptyDocument(200, 200);
  assert.equal(findGhosts(doc, pose).person.joints.nose.x, 20);
  assert.equal(findGhosts({ ...doc, full_box: [80, 20, 120, 60] }, pose).person.joints.nose.x, 100);
});

test("ghosts lie in the document's pixels, and those outside of the picture are none", () => {
  const pose = incoming({ nose: [50, 10], neck: [101, 10] });
  assert.deepEqual(findGhosts(emptyDocument(300, 200), pose).person.joints, { nose: { x: 150, y: 20, state: "detected" } });
  assert.equal(Object.keys(findGhosts(emptyDocument(), pose).person.joints).length, 2);
});

test("ghosts follow the active person, and go when nothing came in any more", () => {
  const { session } = begin(points({ neck: { x: 50, y: 20 } }));
  session.addPerson();
  assert.ok(names(session).includes("neck"));
  session.setPerson(0);
  assert.ok(!names(session).includes("neck"));
  const before = session.text;
  session.showIncoming(null);
  assert.deepEqual([session.ghosts, session.hasGhosts, session.text], [NO_GHOSTS, false, before]);
});

test("the nearest of joints and ghosts is hit, a joint when both are as near", () => {
  const doc = edits.placeJoint(emptyDocument(100, 100), "joints", "left_hip", [52, 20]);
  const ghosts = findGhosts(doc, incoming({ neck: [50, 20], nose: [52, 20] }));
  assert.deepEqual(hitTest(doc, [50.5, 20], REACH, ghosts).name, "neck");
  assert.deepEqual(hitTest(doc, [52, 20], REACH, ghosts).name, "left_hip");
  assert.equal(hitTest(doc, [50.5, 20], REACH).name, "left_hip");
  assert.ok(!sameTarget({ kind: "ghost", index: 0, part: "joints", name: "neck" }, { kind: "joint", part: "joints", name: "neck" }));
});

for (const [what, pose] of Object.entries({
  "no list": { people: {} }, "odd people": { people: [null, 3, "x", { pose_keypoints_2d: "y" }], box: [1] },
  "wrong numbers": { people: [{ pose_keypoints_2d: Array(54).fill("1") }], canvas_width: "x" }, text: "<b>", nobody: incoming(),
})) {
  test(`what came in wrong shows nothing: ${what}`, () => {
    const { session } = begin("", pose);
    assert.equal(session.hasGhosts, false);
    drag(session, [50, 20]);
    assert.equal(session.text, "");
  });
}

test("a text that cannot be read has no ghosts", () => {
  const { session, texts } = begin("{");
  drag(session, [50, 20], [60, 30]);
  session.adopt("joints", "neck");
  assert.deepEqual([session.hasGhosts, session.adoptAll(), texts], [false, false, []]);
});
