// Poses from elsewhere: whatever form OpenPose's files and its editors write.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BODY_18 } from "../../web/points/document/joints.mjs";
import { insertPeople, poseDocument, readOpenPose, writeOpenPose } from "../../web/points/document/openpose.mjs";
import { MAX_PEOPLE, readDocument } from "../../web/points/document/reading.mjs";
import { Session } from "../../web/points/session.mjs";
import { takeFiles, takeText } from "../../web/points/ui/transfer.mjs";

const SIZE = [200, 100];
const flat = (count, place) => Array.from({ length: count }, (_, index) => [...place(index), 1]).flat();
const body = (count, place) => ({ people: [{ pose_keypoints_2d: flat(count, place) }] });
const joint = (people, name, person = 0) => [people[person].joints[name].x, people[person].joints[name].y];

test("pixels of a canvas are brought into the picture without being stretched", () => {
  const people = readOpenPose([{ ...body(18, (index) => [10 + index, 20 + index]), canvas_width: 100, canvas_height: 100 }], SIZE);
  assert.deepEqual(joint(people, "nose"), [60, 20]);
  assert.equal(people[0].joints.nose.state, "given");
});

test("shares of the sides are scaled by the picture, also when a joint lies a little outside", () => {
  const people = readOpenPose({ ...body(18, (index) => [0.2 + index / 100, 0.1 + index / 20]), canvas_width: 512, canvas_height: 512 }, SIZE);
  const [x0, y0] = joint(people, "nose");
  const [x1, y1] = joint(people, "neck");
  assert.ok(x1 - x0 > 1.8 && x1 - x0 < 2.1 && y1 - y0 > 4.5 && y1 - y0 < 5.1);
  const outside = readOpenPose(body(18, (index) => [0.5, index === 10 ? 1.06 : 0.4 + index / 50]), SIZE);
  assert.deepEqual([joint(outside, "right_ankle"), joint(outside, "nose")], [[100, 106], [100, 40]]);
});

test("a skeleton far outside is brought into the picture", () => {
  const [{ joints }] = readOpenPose(body(18, (index) => [1000, 500 + 10 * index]), SIZE);
  assert.ok(Object.values(joints).every(({ x, y }) => x >= 0 && x <= 200 && y >= 0 && y <= 100));
});

test("people of a larger picture are brought into this one together, each beside the other", () => {
  const [left, right] = [400, 900].map((x) => body(18, (index) => [x + index, 500 + 10 * index]).people[0]);
  const people = readOpenPose({ people: [left, right] }, SIZE);
  const [[x0, y0], [x1, y1]] = [joint(people, "nose"), joint(people, "nose", 1)];
  assert.ok(x1 - x0 > 100 && y0 === y1);
  assert.ok(people.every(({ joints }) => Object.values(joints).every(({ x, y }) => x >= 0 && x <= 200 && y >= 0 && y <= 100)));
});

test("shares are of a canvas padded to 64 where one side of it is a multiple", () => {
  const place = (width, height) => joint(readOpenPose({ ...body(18, () => [0.5, 0.5]), canvas_width: width, canvas_height: height }, [width, height]), "nose");
  assert.deepEqual([place(600, 800), place(512, 700), place(512, 768)], [[300, 400], [256, 352], [256, 384]]);
});

test("each list has pixels or shares of its own, and marks absent joints in its own way", () => {
  const person = { pose_keypoints_2d: flat(18, () => [0.5, 0.5]), hand_left_keypoints_2d: flat(21, () => [70, 30]), hand_right_keypoints_2d: flat(21, (index) => (index < 20 ? [0.5, 0.5] : [-0.01, -0.01])) };
  person.pose_keypoints_2d.splice(12, 6, -1, -1, 1, null, 0.5, 1);
  const [read] = readOpenPose({ people: [person], canvas_width: 200, canvas_height: 100 }, SIZE);
  assert.deepEqual([read.joints.nose.x, read.left_hand.wrist.x, read.right_hand.wrist.x], [100, 70, 100]);
  assert.equal(Object.hasOwn(read.right_hand, "little_4"), false);
  assert.deepEqual(BODY_18.filter((name) => !Object.hasOwn(read.joints, name)), ["right_wrist", "left_shoulder"]);
});

test("a pose as text of the field is shown, and an edit makes it a points text that the node reads", () => {
  for (const wrap of [(frame) => frame, (frame) => [frame]]) {
    const session = new Session();
    session.load(JSON.stringify(wrap({ ...body(18, (index) => [10 + index, 20 + index]), canvas_width: 100, canvas_height: 100 })));
    session.showPicture([100, 100]);
    assert.deepEqual(session.problems, []);
    assert.deepEqual([session.doc.people[0].joints.nose.x, session.size], [10, [100, 100]]);
    session.select({ kind: "joint", part: "joints", name: "nose" });
    session.nudge([5, 0]);
    assert.equal(JSON.parse(session.text).people[0].joints.nose.x, 15);
    assert.doesNotMatch(session.text, /pose_keypoints_2d/);
  }
});

test("what OpenPose Editor saves is a pose, and so are nested lists, and a hand or a body behind an empty person", () => {
  const keypoints = [Array.from({ length: 18 }, (_, index) => (index < 17 ? [30 + index, 40] : null))];
  const saved = poseDocument(JSON.stringify({ width: 100, height: 100, keypoints }), SIZE);
  assert.deepEqual([joint(saved.people, "nose"), Object.keys(saved.people[0].joints).length, saved.width], [[30, 40], 17, 100]);
  const nested = { people: [{ pose_keypoints_2d: Array(18).fill([30, 40, 1]), hand_left_keypoints_2d: Array(21).fill([50, 60, 1]) }] };
  const [read] = readOpenPose(nested, SIZE);
  assert.deepEqual([read.joints.nose.x, read.left_hand.wrist.x], [30, 50]);
  const hand = poseDocument(JSON.stringify({ people: [{ hand_left_keypoints_2d: flat(21, () => [50, 60]) }] }), SIZE);
  assert.deepEqual(hand.people[0].left_hand.wrist.x, 50);
  const second = poseDocument(JSON.stringify({ people: [{ person_id: [-1] }, ...body(18, () => [9, 9]).people] }), SIZE);
  assert.equal(second.people[0].joints.nose.x, 9);
});

test("bodies of 25 and of 17 joints", () => {
  const b25 = readOpenPose(body(25, (index) => [index, index]), SIZE);
  assert.deepEqual([joint(b25, "right_hip"), joint(b25, "left_ear")], [[9, 9], [18, 18]]);
  const coco = readOpenPose(body(17, (index) => [10 * index, 5 * index]), SIZE);
  assert.deepEqual([joint(coco, "left_shoulder"), joint(coco, "neck"), joint(coco, "left_ankle")], [[50, 25], [55, 27.5], [150, 75]]);
  const [shoulderless] = readOpenPose(body(17, (index) => (index === 5 ? [-1, -1] : [10 * index, 5 * index])), SIZE);
  assert.equal(Object.hasOwn(shoulderless.joints, "neck"), false);
});

test("sentinels and people without joints are left out", () => {
  const empty = { pose_keypoints_2d: Array(54).fill(0) };
  const sentinel = { pose_keypoints_2d: flat(18, (index) => [index + 5, 9]).map((value, at) => (at < 3 ? [-1, -1, 0][at] : value)) };
  const people = readOpenPose({ people: [empty, sentinel, null, { pose_keypoints_2d: [1, 2] }] }, SIZE);
  assert.equal(people.length, 1);
  assert.equal(Object.hasOwn(people[0].joints, "nose"), false);
});

test("joints that a detector is unsure of are absent, whatever it says of their places", () => {
  const unsure = { people: [{ pose_keypoints_2d: flat(18, (index) => [20 + index, 30]).map((value, at) => (at % 3 < 2 ? value : at === 2 ? 0.3 : 0.29)) }] };
  assert.deepEqual(readOpenPose(unsure, SIZE).map(({ joints }) => Object.keys(joints)), [["nose"]]);
  const shares = body(18, () => [0.5, 0.5]);
  shares.people[0].pose_keypoints_2d.splice(3, 3, 900, 900, 0.05);
  assert.deepEqual(joint(readOpenPose(shares, SIZE), "nose"), [100, 50]);
  const coco = body(17, (index) => [10 * index, 5 * index]);
  coco.people[0].pose_keypoints_2d[3 * 5 + 2] = 0.2;
  const [{ joints }] = readOpenPose(coco, SIZE);
  assert.deepEqual(["left_shoulder", "neck", "right_shoulder"].map((name) => Object.hasOwn(joints, name)), [false, false, true]);
});

test("what is no pose is none", () => {
  for (const value of [null, 4, "x", [], {}, { people: 4 }, [[1]]]) assert.equal(readOpenPose(value, SIZE), null);
});

test("the first of the pasted people takes an empty person's place, the others are added", () => {
  const people = readOpenPose({ people: [body(18, () => [9, 9]).people[0], body(18, () => [50, 50]).people[0]] }, SIZE);
  const doc = insertPeople(readDocument("").doc, people);
  assert.deepEqual([doc.people.length, doc.active], [2, 1]);
  assert.equal(insertPeople(doc, people).people.length, 4);
});

test("what is copied can be pasted again", () => {
  const text = JSON.stringify({ width: 200, height: 100, people: [{ joints: { nose: { x: 20.5, y: 30, state: "occluded" }, neck: { x: 20, y: 40 } }, left_hand: { wrist: { x: 11, y: 12 } } }] });
  const { doc } = readDocument(text);
  const again = readOpenPose(JSON.parse(writeOpenPose(doc, SIZE)), SIZE);
  assert.deepEqual(again[0].joints, doc.people[0].joints);
  assert.deepEqual(again[0].left_hand.wrist.x, 11);
  assert.equal(JSON.parse(writeOpenPose(doc, SIZE))[0].people[0].pose_keypoints_2d.length, 3 * BODY_18.length);
});

test("hands are copied and pasted like bodies: as given, and without a body, too", () => {
  const hand = { wrist: { x: 11, y: 12, state: "given" }, thumb_1: { x: 14, y: 12, state: "given" } };
  const { doc } = readDocument(JSON.stringify({ width: 200, height: 100, people: [{ left_hand: hand }] }));
  const session = new Session();
  session.showPicture(SIZE);
  takeText({ session }, writeOpenPose(doc, SIZE));
  assert.deepEqual(session.doc.people.map(({ left_hand }) => left_hand), [hand]);
  takeText({ session }, JSON.stringify(body(18, (index) => [index, index])));
  assert.deepEqual([session.doc.people.length, session.doc.people[0].left_hand], [2, hand]);
  const bodiless = { people: [{ pose_keypoints_2d: [], hand_right_keypoints_2d: flat(21, (index) => [30 + index, 40]) }] };
  assert.equal(readOpenPose(bodiless, SIZE)[0].right_hand.wrist.state, "given");
});

test("a text whose first person has no body is still the pose that the node reads", () => {
  const text = JSON.stringify({ people: [{ pose_keypoints_2d: null }, ...body(18, () => [9, 9]).people], canvas_width: 100, canvas_height: 100 });
  const session = new Session();
  session.load(text);
  assert.deepEqual(session.doc.people.map(({ joints }) => joints.nose.x), [9]);
});

test("pasted people for whom there is no room replace nobody, and that is said", () => {
  const session = new Session();
  session.showPicture(SIZE);
  const people = Array.from({ length: MAX_PEOPLE - 1 }, () => ({ joints: { nose: { x: 1, y: 1 } } }));
  session.load(JSON.stringify({ width: 200, height: 100, people }));
  takeText({ session }, JSON.stringify({ people: [1, 2, 3].flatMap((at) => body(18, () => [9 * at, 9]).people) }));
  assert.equal(session.doc.people.length, MAX_PEOPLE);
  assert.equal(session.doc.people.at(-1).joints.nose.x, 9);
  assert.match(session.message, /At most 64/);
});

test("a pasted text is a pose, a points text, or nothing", () => {
  const session = new Session();
  session.showPicture(SIZE);
  takeText({ session }, JSON.stringify(body(18, (index) => [index, index])));
  assert.equal(Object.keys(JSON.parse(session.text).people[0].joints).length, 18);
  takeText({ session }, '{"version": 1, "positive": [[3, 4]]}');
  assert.deepEqual(JSON.parse(session.text).positive, [[3, 4]]);
  for (const bad of ["", "{", "hello", "[1]", '{"nodes": []}']) takeText({ session }, bad);
  assert.match(session.message, /no pose/);
  assert.deepEqual(JSON.parse(session.text).positive, [[3, 4]]);
});

test("of dropped files a picture goes before a pose, and what is neither is not read", async () => {
  const [session, pictures] = [new Session(), []];
  const editor = { session, takePicture: (file) => pictures.push(file.name) };
  session.showPicture(SIZE);
  const pose = new File([JSON.stringify(body(18, (index) => [index + 3, index]))], "pose.json", { type: "application/json" });
  await takeFiles(editor, [pose, new File(["x"], "me.png", { type: "image/png" })]);
  assert.deepEqual([pictures, session.text], [["me.png"], ""]);
  await takeFiles(editor, [pose]);
  assert.match(session.message, /^1 person/);
  const video = { name: "me.mp4", type: "video/mp4", size: 5e9, text: () => assert.fail("read") };
  await takeFiles(editor, [video]);
  assert.deepEqual([pictures, session.message], [["me.png"], "This is no pose, no points text and no picture."]);
});

test("the editor takes what the node takes for a pose: older keys, and nobody", () => {
  const old = { version: 1.1, people: [{ pose_keypoints: flat(18, () => [30, 40]), hand_left_keypoints: flat(21, () => [50, 60]) }] };
  const [person] = poseDocument(JSON.stringify(old), SIZE).people;
  assert.deepEqual([person.joints.nose.x, person.left_hand.wrist.x], [30, 50]);
  for (const nobody of [{ version: 1.3, people: [] }, [{ people: [], canvas_width: 64, canvas_height: 48 }]]) {
    assert.deepEqual(Object.keys(poseDocument(JSON.stringify(nobody), SIZE).people[0].joints), []);
  }
  assert.equal(poseDocument(JSON.stringify({ version: 1, people: [] }), SIZE), null);
});

test("a text of a hand alone shows the hand, and beside a body only people with bodies", () => {
  const hand = Array.from({ length: 21 }, () => [20, 30, 1]).flat();
  const body = Array.from({ length: 18 }, () => [9, 9, 1]).flat();
  const canvas = { canvas_width: 64, canvas_height: 48 };
  const handAlone = { pose_keypoints_2d: Array(54).fill(0), hand_right_keypoints_2d: hand };
  const [person] = poseDocument(JSON.stringify({ people: [handAlone], ...canvas }), [64, 48]).people;
  assert.equal(Object.keys(person.right_hand).length, 21);
  assert.equal(person.right_hand.wrist.x, 20);
  const both = poseDocument(JSON.stringify({ people: [handAlone, { pose_keypoints_2d: body }], ...canvas }), [64, 48]);
  assert.deepEqual(both.people.map(({ joints }) => Object.keys(joints).length), [18]);
});
