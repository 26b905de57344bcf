// The editor's element on a stand-in for a page: who gets the focus, and who the keys.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { document, nextFrame, press, send, type } from "./stand_in.mjs";

const { placeOf } = await import("../../web/points/document/queries.mjs");
const { toScreen } = await import("../../web/points/input/view.mjs");
const { PointsEditor } = await import("../../web/points/editor.mjs");
const NECK = '{"people":[{"joints":{"neck":{"x":50,"y":50}}}]}';
const reached = [];
document.body.addEventListener("keydown", ({ key }) => reached.push(key));
let editor;

beforeEach(() => {
  editor?.element.remove();
  reached.length = 0;
  editor = new PointsEditor({});
  document.body.append(editor.element);
  editor.text = NECK;
  editor.fit();
  nextFrame();
});

const holder = () => editor.element.shadowRoot.activeElement;
const toolbarGap = () => editor.toolbar.element;
const heading = () => editor.side.element.querySelector("h4");

for (const [what, part] of Object.entries({ "the status line": () => editor.parts.message, "the toolbar": toolbarGap, "a heading": heading })) {
  test(`a press on ${what} gives the focus to the picture, and the keys stay in the editor`, () => {
    press(part());
    assert.equal(holder(), editor.parts.canvas);
    editor.session.select({ kind: "joint", part: "joints", name: "neck" });
    for (const key of ["Delete", "Backspace", "r"]) type(key);
    assert.deepEqual([reached, editor.session.tool], [[], "roi_box"]);
    assert.equal(editor.session.doc.people[0].joints.neck, undefined);
  });
}

test("whoever gives the focus to the editor gives it to the picture, and a button keeps its own", () => {
  editor.element.focus();
  assert.equal(holder(), editor.parts.canvas);
  const undo = editor.toolbar.element.querySelector("button");
  press(undo);
  assert.equal(holder(), undo);
});

test("where the text is shown in the picture's place, it gets the focus, and gives it back", () => {
  editor.toggle("text");
  assert.equal(holder(), editor.parts.area);
  press(editor.parts.message);
  assert.equal(holder(), editor.parts.area);
  type("Delete");
  assert.deepEqual(reached, []);
  type("Escape");
  assert.equal(holder(), editor.parts.canvas);
});

test("in the full window presses on nothing give the focus to the picture as well", () => {
  editor.large.open();
  press(editor.parts.message);
  assert.equal(holder(), editor.parts.canvas);
  editor.toggle("text");
  editor.large.close();
  assert.equal(holder(), editor.parts.area);
});

test("keys with Ctrl reach the page from the full window too, and no others do", () => {
  editor.large.open();
  press(editor.parts.canvas);
  for (const [key, ctrlKey] of [["s", true], ["Enter", true], ["z", true], ["Delete", false]]) type(key, "keydown", { ctrlKey });
  send(editor.large.dialog, "keydown", { key: "Delete" });
  editor.large.close();
  assert.deepEqual(reached, ["s", "Enter"]);
});

test("a button that can no longer be pressed leaves the focus to the picture", () => {
  editor.session.addPerson();
  nextFrame();
  const undo = editor.toolbar.element.childNodes[1].childNodes[2];
  press(undo);
  send(undo, "click");
  nextFrame();
  assert.deepEqual([undo.disabled, holder() === editor.parts.canvas], [true, true]);
});

test("a notice that goes away leaves the focus to the picture", () => {
  editor.text = '{"width":200,"height":100,"positive":[[100,0]]}';
  editor.session.showPicture([100, 100]);
  nextFrame();
  const keep = editor.parts.notice.element.querySelector("button");
  press(keep);
  send(keep, "click");
  nextFrame();
  assert.equal(holder(), editor.parts.canvas);
});

/** Send events of a pointer to the canvas: [name, xy_px]. */
function point(pointerType, pointerId, ...events) {
  for (const [name, place] of events) {
    const [clientX, clientY] = toScreen(editor.view, place);
    send(editor.parts.canvas, name, { pointerId, pointerType, button: 0, clientX, clientY });
  }
}

function click(...[clientX, clientY]) {
  for (const name of ["pointerdown", "pointerup"]) {
    send(editor.parts.canvas, name, { pointerId: 1, pointerType: "mouse", button: 0, clientX, clientY });
  }
}

test("a hand that rests beside the pen, before or after it, takes nothing from it", () => {
  const neck = () => placeOf(editor.session.doc, { kind: "joint", part: "joints", name: "neck" });
  point("pen", 1, ["pointerdown", [50, 50]], ["pointermove", [60, 50]]);
  point("touch", 2, ["pointerdown", [90, 400]], ["pointermove", [95, 400]]);
  point("pen", 1, ["pointermove", [70, 60]], ["pointerup", [70, 60]]);
  point("touch", 2, ["pointermove", [99, 400]], ["pointerup", [99, 400]]);
  assert.deepEqual(neck(), [70, 60]);
  editor.session.setTool("positive");
  const { scale } = editor.view;
  point("touch", 3, ["pointerdown", [200, 400]], ["pointermove", [201, 400]]);
  point("pen", 1, ["pointerdown", [20, 30]], ["pointerup", [20, 30]]);
  point("touch", 3, ["pointermove", [260, 400]], ["pointerup", [260, 400]]);
  assert.deepEqual([editor.session.doc.positive, editor.view.scale], [[[20, 30]], scale]);
  point("touch", 4, ["pointerdown", [100, 100]]);
  point("touch", 5, ["pointerdown", [200, 100]], ["pointermove", [300, 100]], ["pointerup", [300, 100]]);
  point("touch", 4, ["pointerup", [100, 100]]);
  assert.ok(editor.view.scale > 1.5 * scale);
  assert.equal(editor.session.doc.positive.length, 1);
});

test("what the pointer was over is not marked once it has left the picture", () => {
  point("mouse", 1, ["pointermove", [50, 50]]);
  assert.equal(editor.session.hover.name, "neck");
  point("mouse", 1, ["pointerleave", [50, 50]]);
  assert.equal(editor.session.hover, null);
});

test("Space drags the picture until it is released, or the focus goes elsewhere", () => {
  editor.session.setTool("positive");
  const points = () => editor.session.doc.positive.length;
  press(editor.parts.canvas);
  type(" ");
  click(100, 100);
  assert.equal(points(), 0);
  type(" ", "keyup");
  click(100, 100);
  assert.equal(points(), 1);
  type(" ");
  // Another window takes the focus, and hears of the release.
  editor.parts.canvas.blur();
  editor.parts.canvas.focus();
  click(300, 300);
  assert.equal(points(), 2);
});

test("what keys go to, put and move is seen, however far the picture is zoomed in", () => {
  const isSeen = () => {
    const { selection, doc } = editor.session;
    const [x, y] = toScreen(editor.view, placeOf(doc, selection));
    return x >= 0 && y >= 0 && x <= 400 && y <= 400;
  };
  press(editor.parts.canvas);
  for (let step = 0; step < 12; step += 1) type("+");
  type("End");
  assert.ok(isSeen());
  for (let step = 0; step < 80; step += 1) type("ArrowRight");
  assert.ok(isSeen());
  for (let step = 0; step < 8; step += 1) type("-");
  for (let step = 0; step < 12; step += 1) type("+");
  assert.ok(isSeen());
  for (const key of ["r", "Enter"]) type(key);
  const [x0, y0, x1, y1] = editor.session.doc.roi_box.flatMap((value, index) => toScreen(editor.view, index % 2 ? [0, value] : [value, 0])[index % 2]);
  assert.ok(x0 > 0 && y0 > 0 && x1 < 400 && y1 < 400);
  assert.deepEqual(reached, []);
});

/** The rows of the list of joints, which is shown. */
function listRows() {
  editor.toggle("list");
  nextFrame();
  return editor.side.element.querySelector("ul").childNodes.map((item) => item.querySelector("button"));
}

test("joints that were looked for in a picture before are neither put into this one nor waited for", async () => {
  let answer;
  const looking = new PointsEditor({ detect: () => new Promise((done) => { answer = done; }) });
  const show = (size) => looking.setPicture({ naturalWidth: size }, { size: [size, size], box: [0, 0, size, size] });
  show(64);
  const done = looking.importJoints();
  assert.match(looking.session.message, /^Looking for joints/);
  show(64);
  answer({ people: [{ pose_keypoints_2d: Array(54).fill(9) }], canvas_width: 64, canvas_height: 64 });
  await done;
  assert.deepEqual([looking.text, looking.session.message, looking.canImport], ["", "", true]);
});

test("Tab is left to the page, and the list is one stop of it", () => {
  press(editor.parts.canvas);
  assert.equal(type("Tab").isPrevented, false);
  const rows = listRows();
  const stops = () => rows.filter((row) => row.getAttribute("tabindex") === "0").map((row) => rows.indexOf(row));
  assert.deepEqual(stops(), [0]);
  rows[0].focus();
  const go = (...keys) => keys.map((key) => (type(key), rows.indexOf(holder())));
  assert.deepEqual(go("ArrowDown", "ArrowDown", "ArrowUp", "PageDown", "Home", "PageUp", "PageUp"), [1, 2, 1, 2, 0, 17, 16]);
  assert.deepEqual([stops(), editor.session.selection, reached.includes("Tab")], [[16], null, false]);
});

test("in the list arrows move what is selected, and what is selected is where Tab comes", () => {
  const rows = listRows();
  rows[0].focus();
  type("ArrowDown");
  send(holder(), "click", { detail: 0 });
  assert.deepEqual([editor.session.selection.name, holder()], ["neck", rows[1]]);
  type("ArrowDown");
  assert.deepEqual([holder(), placeOf(editor.session.doc, editor.session.selection)], [rows[1], [50, 51]]);
  for (const key of ["Escape", "ArrowDown"]) type(key);
  assert.deepEqual([holder(), editor.session.selection], [rows[2], null]);
  press(editor.parts.canvas);
  type("PageDown");
  nextFrame();
  assert.deepEqual(rows.filter((row) => row.getAttribute("tabindex") === "0"), [rows[1]]);
});

test("arrows move the picture that is zoomed in, while nothing is selected", () => {
  press(editor.parts.canvas);
  const fitted = editor.view;
  type("ArrowRight");
  assert.equal(editor.view, fitted);
  for (let step = 0; step < 5; step += 1) type("+");
  const { x, y } = editor.view;
  for (const key of ["ArrowRight", "ArrowRight", "ArrowUp"]) type(key);
  assert.deepEqual([editor.view.x, editor.view.y], [x - 60, y + 30]);
  for (const key of ["g", "Enter"]) type(key);
  const [px, py] = toScreen(editor.view, editor.session.doc.positive[0]);
  assert.ok(Math.hypot(px - 200, py - 200) < 2, `${px}, ${py}`);
});

test("files that are dropped while the text is shown are taken, texts are left to the text field", async () => {
  editor.toggle("text");
  nextFrame();
  const drop = (type, dataTransfer) => send(editor.parts.area, type, { dataTransfer });
  const file = { type: "application/json", size: 99, text: async () => '{"version": 1, "positive": [[3, 4]]}' };
  const files = { types: ["Files"], files: [file], getData: () => "" };
  assert.ok(drop("dragover", files).isPrevented && drop("drop", files).isPrevented);
  await null;
  await null;
  assert.deepEqual(JSON.parse(editor.text).positive, [[3, 4]]);
  assert.equal(drop("drop", { types: ["text/plain"], files: [], getData: () => NECK }).isPrevented, false);
});
