// One editor's session: tools, drags, undo, keys, and texts that are wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { jointOf } from "../../web/points/document/queries.mjs";
import { keyCommand } from "../../web/points/input/keys.mjs";
import { Session } from "../../web/points/session.mjs";
import { status } from "../../web/points/document/status.mjs";

const REACH = 4;

function begin(text = "", size = [100, 100]) {
  const texts = [];
  const session = new Session({ onCommit: (written) => texts.push(written) });
  session.load(text);
  session.showPicture(size);
  return { session, texts };
}

function drag(session, from, ...to) {
  session.pointerDown(from, REACH);
  for (const place of to) session.pointerMove(place, REACH);
  session.pointerUp();
}

const value = (session) => JSON.parse(session.text);
const joints = (session) => value(session).people[0].joints;

test("showing a text and a picture changes nothing", () => {
  const text = '{"positive":[[10,20]],"width":50,"height":50}';
  const { session, texts } = begin(text);
  session.pointerMove([20, 40], REACH);
  session.select({ kind: "positive", index: 0 });
  session.setTool("place");
  assert.deepEqual([session.text, texts], [text, []]);
  assert.deepEqual(session.doc.positive, [[20, 40]]);
});

test("missing joints are placed in order by clicking", () => {
  const { session, texts } = begin();
  session.setTool("place");
  for (let index = 0; index < 18; index += 1) drag(session, [index, 50]);
  assert.equal(Object.keys(joints(session)).length, 18);
  assert.equal(joints(session).neck.x, 1);
  assert.equal(texts.length, 18);
  assert.equal(session.tool, "select");
  assert.deepEqual([value(session).width, value(session).height], [100, 100]);
});

test("placing can begin at any joint and goes on with the missing ones after it", () => {
  const { session } = begin();
  session.startPlacing("joints", "right_hip");
  drag(session, [10, 10], [10, 30]);
  assert.equal(joints(session).right_hip.y, 30);
  assert.equal(session.next.name, "right_knee");
  drag(session, [10, 40]);
  session.undo();
  assert.equal(session.next.name, "right_ankle");
  assert.deepEqual(Object.keys(joints(session)), ["right_hip"]);
});

test("a drag is one step, a click none, and Esc takes a drag back", () => {
  const { session, texts } = begin('{"people":[{"joints":{"neck":{"x":50,"y":50}}}]}');
  drag(session, [51, 50]);
  assert.deepEqual([texts.length, session.selection.name], [0, "neck"]);
  drag(session, [51, 50], [60, 50], [71, 55]);
  assert.deepEqual([texts.length, joints(session).neck.x, joints(session).neck.y], [1, 70, 55]);
  session.pointerDown([70, 55], REACH);
  session.pointerMove([10, 10], REACH);
  assert.ok(session.perform({ name: "escape" }));
  session.pointerUp();
  assert.deepEqual([texts.length, jointOf(session.doc, "joints", "neck").x], [1, 70]);
});

test("boxes are drawn, moved and resized", () => {
  const { session } = begin();
  session.setTool("roi_box");
  drag(session, [10, 10], [50, 60]);
  assert.deepEqual(value(session).roi_box, [10, 10, 50, 60]);
  drag(session, [50, 60], [70, 80]);
  assert.deepEqual(value(session).roi_box, [10, 10, 70, 80]);
  session.setTool("select");
  drag(session, [10, 30], [20, 30]);
  assert.deepEqual(value(session).roi_box, [20, 10, 80, 80]);
  session.setTool("full_box");
  drag(session, [5, 5], [95, 95]);
  assert.deepEqual([value(session).roi_box, value(session).full_box], [[20, 10, 80, 80], [5, 5, 95, 95]]);
});

test("a click with a box tool explains itself and draws nothing", () => {
  const { session, texts } = begin();
  session.setTool("full_box");
  drag(session, [10, 10]);
  assert.deepEqual(texts, []);
  assert.match(status(session), /Drag from one corner/);
});

test("points on and off the person", () => {
  const { session } = begin();
  session.setTool("positive");
  drag(session, [10, 10]);
  drag(session, [10, 10], [30, 10]);
  session.setTool("negative");
  drag(session, [30, 10]);
  assert.deepEqual([value(session).positive, value(session).negative], [[[30, 10]], [[30, 10]]]);
});

test("undo and redo go through everything, to the very text that came", () => {
  const start = '{ "positive": [[1, 1]] }';
  const { session, texts } = begin(start);
  session.setTool("positive");
  for (let step = 2; step < 60; step += 1) drag(session, [step, 5 * (step % 20)]);
  const last = session.text;
  for (let step = 2; step < 60; step += 1) session.undo();
  assert.equal(session.text, start);
  assert.equal(session.history.canUndo, false);
  for (let step = 0; step < 100; step += 1) session.redo();
  assert.equal(session.text, last);
  assert.equal(texts.at(-1), last);
});

test("arrows nudge by 1 and 10, together one step of undo", () => {
  const { session } = begin('{"people":[{"joints":{"neck":{"x":50,"y":50}}}]}');
  assert.equal(session.perform({ name: "nudge", by_px: [1, 0] }), false);
  session.perform({ name: "next" });
  for (let step = 0; step < 5; step += 1) session.perform({ name: "nudge", by_px: [1, 0] });
  session.perform({ name: "nudge", by_px: [0, 10] });
  assert.deepEqual([joints(session).neck.x, joints(session).neck.y], [55, 60]);
  session.undo();
  assert.equal(session.text, '{"people":[{"joints":{"neck":{"x":50,"y":50}}}]}');
});

test("steps go through joints, points and boxes, and round the end", () => {
  const { session } = begin('{"people":[{"joints":{"neck":{"x":5,"y":5},"nose":{"x":9,"y":9}}}],"positive":[[1,1]],"roi_box":[1,1,9,9]}');
  const go = (...keys) => keys.map((key) => {
    assert.ok(session.perform(keyCommand({ key })));
    return session.selection.name ?? session.selection.handle ?? session.selection.kind;
  });
  assert.deepEqual(go(...Array(7).fill("PageDown")), ["nose", "neck", "positive", "move", "nw", "se", "nose"]);
  assert.deepEqual(go("PageUp", "PageUp", "Home", "End"), ["se", "nw", "nose", "se"]);
  assert.ok(["PageDown", "PageUp", "Home", "End"].every((key) => !begin().session.perform(keyCommand({ key }))));
});

test("Delete removes what is selected, and only that", () => {
  const { session } = begin('{"positive":[[1,1],[20,20]],"roi_box":[40,40,90,90]}');
  assert.equal(session.perform({ name: "remove" }), false);
  session.select({ kind: "positive", index: 0 });
  assert.ok(session.perform({ name: "remove" }));
  session.select({ kind: "box", box: "roi_box" });
  session.perform({ name: "remove" });
  assert.deepEqual([value(session).positive, value(session).roi_box], [[[20, 20]], null]);
});

test("Esc gives up one thing at a time", () => {
  const { session } = begin('{"positive":[[1,1]]}');
  session.setTool("positive");
  session.select({ kind: "positive", index: 0 });
  assert.deepEqual([1, 2, 3].map(() => session.perform({ name: "escape" })), [true, true, false]);
});

/** Press keys, one after the other, as keys.mjs reads them; a number before one repeats it. */
function press(session, ...keys) {
  for (const pressed of keys) {
    const [, times, shift, key] = /^(\d*)(\^?)(.+)$/.exec(pressed);
    for (let time = 0; time < (Number(times) || 1); time += 1) session.perform(keyCommand({ key, shiftKey: shift === "^" }));
  }
}

test("a box is begun, moved, sized, undone and taken away by keys alone", () => {
  const { session } = begin();
  press(session, "r");
  assert.match(status(session), /press Enter, to draw the ROI box/);
  press(session, "Enter");
  assert.deepEqual([value(session).roi_box, status(session)], [[25, 25, 75, 75], "ROI box (50 × 50) at 50, 50"]);
  press(session, "2^ArrowLeft", "ArrowDown", "Enter", "ArrowRight", "Enter", "^ArrowDown", "3ArrowLeft");
  assert.deepEqual(value(session).roi_box, [6, 26, 52, 86]);
  assert.equal(status(session), "ROI box (lower right corner, 46 × 60) at 52, 86");
  press(session, "9^ArrowLeft", "ArrowRight");
  assert.deepEqual(value(session).roi_box, [6, 26, 8, 86]);
  session.undo();
  assert.equal(session.text, "");
  session.redo();
  press(session, "v", "Home", "^ArrowRight", "PageDown", "PageDown", "^ArrowUp");
  assert.deepEqual(value(session).roi_box, [16, 26, 18, 76]);
  press(session, "Delete");
  assert.equal(value(session).roi_box, null);
});

test("points are put, moved, switched, gone through and taken away by keys alone", () => {
  const { session } = begin();
  press(session, "g");
  assert.match(status(session), /press Enter, to put a positive point; O makes it/);
  press(session, "Enter", "^ArrowUp", "ArrowLeft", "Enter", "n", "Enter");
  assert.deepEqual([value(session).positive, value(session).negative], [[[49, 40], [59, 40]], [[39, 40]]]);
  press(session, "o");
  assert.equal(session.selection.kind, "positive");
  assert.equal(value(session).negative.length, 0);
  press(session, "v", "Escape", "PageDown", "o");
  assert.deepEqual([session.selection, value(session).negative], [{ kind: "negative", index: 0 }, [[49, 40]]]);
  press(session, "Delete");
  assert.deepEqual([value(session).negative, value(session).positive.length], [[], 2]);
});

test("Esc takes back what Enter has begun, with its moves, and after anything else only gives up the tool", () => {
  for (const tool of ["g", "b"]) {
    const { session } = begin('{"negative":[[1,1]]}');
    const start = session.text;
    press(session, tool, "Enter", "3ArrowUp", "Escape");
    assert.deepEqual([session.text, session.selection, session.tool !== "select"], [start, null, true]);
    session.redo();
    assert.notEqual(session.text, start);
    press(session, "Escape");
    assert.deepEqual([session.text === start, session.tool], [false, "select"]);
    press(session, tool, "Enter", "v", "Escape");
    assert.notEqual(session.text, start);
  }
});

test("a corner that the mouse took is moved on by arrows, and keeps its distance from the mouse", () => {
  const { session } = begin('{"full_box":[20,20,80,80]}');
  drag(session, [82, 79], [87, 84]);
  assert.deepEqual(value(session).full_box, [20, 20, 85, 85]);
  press(session, "ArrowLeft", "PageUp");
  assert.deepEqual([value(session).full_box, session.selection.handle], [[20, 20, 84, 85], "nw"]);
});

test("what the page has to say stands there while nothing is selected or placed", () => {
  const { session } = begin('{"people":[{"joints":{"neck":{"x":5,"y":5}}}]}');
  const said = () => status(session, "a note");
  assert.equal(said(), "a note");
  press(session, "PageDown");
  assert.equal(said(), "neck (given) at 5, 5");
  press(session, "p");
  assert.match(said(), /^Click where the nose is/);
  press(session, "Escape", "Escape");
  assert.equal(said(), "a note");
});

test("joints can be placed without a pointer", () => {
  const { session } = begin('{"people":[{"joints":{"right_hip":{"x":50,"y":40},"right_shoulder":{"x":50,"y":20},"neck":{"x":45,"y":20}}}]}');
  session.startPlacing("joints", "right_knee");
  assert.ok(session.perform({ name: "put" }));
  assert.ok(joints(session).right_knee.y > 45);
  assert.deepEqual([session.selection.name, session.next.name], ["right_knee", "right_ankle"]);
});

test("joints that are placed without a pointer lie a limb apart, also below the picture", () => {
  const { session } = begin('{"people":[{"joints":{"right_hip":{"x":50,"y":95},"right_shoulder":{"x":20,"y":30},"neck":{"x":41,"y":30}}}]}');
  session.startPlacing("joints", "right_knee");
  session.perform({ name: "put" });
  session.perform({ name: "put" });
  const { right_knee: knee, right_ankle: ankle } = joints(session);
  assert.ok(knee.y > 120 && ankle.y > knee.y + 5, JSON.stringify([knee, ankle]));
  // As far outside as the node takes a joint.
  assert.equal(ankle.y, 150);
});

test("joints are marked as occluded and given again", () => {
  const { session } = begin('{"people":[{"joints":{"neck":{"x":5,"y":5,"state":"detected"}}}]}');
  session.perform({ name: "next" });
  session.perform({ name: "occluded" });
  assert.equal(joints(session).neck.state, "occluded");
  session.perform({ name: "occluded" });
  assert.equal(joints(session).neck.state, "given");
});

test("a joint of another person makes that person the active one", () => {
  const { session } = begin('{"people":[{"joints":{"neck":{"x":5,"y":5}}},{"joints":{"neck":{"x":80,"y":80}}}]}');
  drag(session, [80, 80], [90, 90]);
  assert.equal(value(session).active, 1);
  assert.equal(value(session).people[1].joints.neck.x, 80);
  session.addPerson();
  session.removePerson();
  assert.equal(value(session).people.length, 2);
});

test("hands come on demand and go again", () => {
  const { session } = begin();
  session.toggleHand("right_hand");
  assert.equal(Object.keys(value(session).people[0].right_hand).length, 21);
  session.toggleHand("right_hand");
  assert.equal(value(session).people[0].right_hand, undefined);
});

test("an import is one step that can be undone; nobody found is said", () => {
  const { session, texts } = begin();
  const body = Array.from({ length: 18 }, (_, index) => [index * 2, 30, 1]).flat();
  session.importPeople({ people: [{ pose_keypoints_2d: body }], canvas_width: 100, canvas_height: 100 });
  assert.equal(Object.keys(joints(session)).length, 18);
  assert.match(status(session), /Imported 18 joints of 1 person/);
  session.undo();
  assert.equal(session.text, "");
  session.importPeople({ people: [], canvas_width: 100, canvas_height: 100 });
  assert.match(status(session), /No person was found/);
  assert.equal(texts.length, 2);
});

for (const text of ["{", "[]", '{"version": 7}', "<script>alert(1)</script>", "NaN", `{"a":${"[".repeat(9000)}${"]".repeat(9000)}}`]) {
  test(`a text that cannot be used stays as it is, whatever is pressed: ${text.slice(0, 24)}`, () => {
    const { session, texts } = begin(text);
    const blocked = session.doc === null;
    for (const tool of ["place", "positive", "roi_box", "select"]) {
      session.setTool(tool);
      if (blocked) drag(session, [10, 10], [30, 30]);
    }
    for (const name of ["remove", "put", "occluded", "next", "undo", "redo", "escape"]) {
      if (blocked) session.perform({ name, by_px: [1, 1] });
    }
    if (blocked) [session.addPerson(), session.removePerson(), session.toggleHand("left_hand"), session.importPeople({})];
    assert.equal(texts.filter((written) => written !== text && written !== "").length, 0);
    if (!blocked) return;
    session.load(text);
    assert.equal(session.text, text);
    assert.match(status(session), /^points: /);
    session.startAfresh();
    assert.deepEqual(session.problems, []);
    session.undo();
    assert.equal(session.text, text);
  });
}

test("a text with one mistake can be edited, and undo brings it back", () => {
  const text = '{"people":[{"joints":{"neck":{"x":5,"y":5},"tail":{"x":1,"y":1}}}]}';
  const { session } = begin(text);
  assert.match(status(session), /no joint "tail"/);
  session.setTool("positive");
  drag(session, [50, 50]);
  assert.deepEqual([session.problems, Object.keys(joints(session))], [[], ["neck"]]);
  session.undo();
  assert.equal(session.text, text);
});

test("without a picture a blank sheet is shown, and a text without a size gets none", () => {
  const { session } = begin("", null);
  assert.deepEqual(session.size, [512, 512]);
  session.setTool("positive");
  drag(session, [7, 7]);
  assert.equal(value(session).width, 512);
  const other = begin('{"positive":[[900,10]]}', null).session;
  assert.deepEqual(other.size, [900, 512]);
  other.setTool("positive");
  drag(other, [7, 7]);
  assert.equal(value(other).width, undefined);
});

test("a new text from outside is one more step of undo after an edit, and a start before it", () => {
  const { session, texts } = begin('{"positive":[[1,1]]}');
  session.load('{"positive":[[2,2]]}');
  session.undo();
  assert.equal(session.text, '{"positive":[[2,2]]}');
  session.addPerson();
  const edited = session.text;
  session.load('{"negative":[[1,1]]}');
  assert.equal(texts.length, 1);
  session.undo();
  assert.equal(session.text, edited);
});
