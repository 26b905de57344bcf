// A node that the page makes anew goes on with its history: after the page's undo, and when its tab comes back. Another tab's
// node of the same ids does not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { moveIn, moveOut, nameOf } from "../../web/points/page/again.mjs";
import { ByTab, tabOf } from "../../web/points/page/tabs.mjs";
import { TextSession } from "../../web/points/text_session.mjs";

const SAVED = '{"positive":[[1,1]]}';
const EDITED = '{"positive":[[2,2]]}';
const LATER = '{"positive":[[3,3]]}';
let nodes = 0;

/** The name of a node that no other test has. */
const newName = () => nameOf({ id: (nodes += 1), graph: { id: "root" } });

function makeEditor(text) {
  const session = new TextSession();
  session.load(text);
  const element = { parentElement: null, isConnected: true, childElementCount: 0, remove() { element.isConnected = false; } };
  return { session, element };
}

/** The editor of a node that the page has made anew with that text. */
function remade(text, tab, name) {
  const editor = makeEditor(text);
  moveIn(editor, tab, name);
  return editor;
}

const state = ({ session }) => [session.text, session.history.canUndo, session.history.canRedo];

test("after the page's undo the new node has the history of the old one", () => {
  const [tab, name] = [{}, newName()];
  const old = remade(SAVED, tab, name);
  for (const text of [EDITED, LATER]) old.session.type(text, null);
  moveOut(old);
  const editor = remade(EDITED, tab, name);
  assert.deepEqual(state(editor), [EDITED, true, true]);
  editor.session.redo();
  assert.equal(editor.session.text, LATER);
});

test("a tab that is left and opened again has its history", () => {
  const [one, other, name] = [{}, {}, newName()];
  const first = remade(SAVED, one, name);
  first.session.type(EDITED, null);
  moveOut(first);
  const second = remade('{"negative":[[5,5]]}', other, newName());
  moveOut(second);
  const again = remade(EDITED, one, name);
  again.session.undo();
  assert.deepEqual(state(again), [SAVED, false, true]);
});

test("the same graph in another tab begins anew, and each tab undoes its own edits", () => {
  const [one, other, name] = [{}, {}, newName()];
  const first = remade(SAVED, one, name);
  first.session.type(EDITED, null);
  moveOut(first);
  const second = remade(SAVED, other, name);
  assert.deepEqual(state(second), [SAVED, false, false]);
  second.session.type(LATER, null);
  moveOut(second);
  const again = remade(EDITED, one, name);
  again.session.undo();
  assert.deepEqual(state(again), [SAVED, false, true]);
  moveOut(again);
  assert.deepEqual(state(remade(LATER, other, name)), [LATER, true, false]);
});

test("a page that says late which tab is open gives no tab another one's history", () => {
  const [one, other, name] = [{}, {}, newName()];
  const first = remade(SAVED, one, name);
  for (const text of [EDITED, LATER]) first.session.type(text, null);
  moveOut(first);
  const second = remade(SAVED, one, name);
  moveIn(second, other, name);
  assert.deepEqual(state(second), [SAVED, false, false]);
  moveOut(second);
  const again = remade(LATER, one, name);
  assert.deepEqual(state(again), [LATER, true, false]);
  again.session.undo();
  assert.equal(again.session.text, EDITED);
});

test("a tab that is opened late for an edited node leaves the node its own history", () => {
  const name = newName();
  const editor = remade(SAVED, tabOf({}), name);
  editor.session.type(EDITED, null);
  moveIn(editor, {}, name);
  assert.deepEqual(state(editor), [EDITED, true, false]);
});

test("where the page has no tabs the history goes on all the same", () => {
  const name = newName();
  const old = remade(SAVED, tabOf({}), name);
  old.session.type(EDITED, null);
  moveOut(old);
  assert.deepEqual(state(remade(EDITED, tabOf({ extensionManager: {} }), name)), [EDITED, true, false]);
});

test("in Nodes 2.0 the new node's editor takes the old one's place, in whatever tab", () => {
  const name = newName();
  const place = { isConnected: true, childElementCount: 0, append(element) { element.isConnected = true; } };
  const old = remade(SAVED, {}, name);
  old.element.parentElement = place;
  moveOut(old);
  const editor = makeEditor(SAVED);
  editor.element.isConnected = false;
  moveIn(editor, {}, name);
  assert.equal(editor.element.isConnected, true);
});

test("a tab is told by its object, not by the path of its file", () => {
  const page = (workflow) => ({ extensionManager: { workflow: { activeWorkflow: workflow } } });
  const [one, other] = [{ path: "a.json" }, { path: "a.json" }];
  const values = new ByTab();
  values.set(tabOf(page(one)), "root:1", "mine");
  one.path = "renamed.json";
  assert.deepEqual([one, other].map((tab) => values.get(tabOf(page(tab)), "root:1")), ["mine", undefined]);
});
