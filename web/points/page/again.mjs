// The page's undo makes every node anew, and so does the way to another tab and back. The new node's editor goes on where
// the old one was: with its history, and in Nodes 2.0, which never asks the new node for its editor, in its place on the page.

import { History } from "../document/history.mjs";
import { ByTab } from "./tabs.mjs";

const places = new Map();
const histories = new ByTab();
// Of a session: the tab and the name under which its history was looked for, and whether there was one.
const homes = new WeakMap();

/** What tells a node from others in its tab, however often the page makes it anew. */
export function nameOf(node) {
  return `${node.graph.id}:${node.id}`;
}

/** The node of this editor is gone. */
export function moveOut({ element, session }) {
  // As they were: a graph that is emptied has lost its id before its nodes are removed.
  const home = homes.get(session);
  if (home && element.parentElement) places.set(home.name, new WeakRef(element.parentElement));
  if (home) histories.set(home.tab, home.name, session.history);
  homes.delete(session);
  element.remove();
}

/** The node of this editor is there, under this name in this tab. */
export function moveIn({ element, session }, tab, name) {
  takePlace(element, name);
  const home = homes.get(session);
  if (home?.tab === tab && home.name === name) return;
  const history = histories.get(tab, name);
  homes.set(session, { tab, name, isFound: Boolean(history) });
  if (history && history !== session.history) session.inherit(history.copy());
  // The page says which tab is open only when it has filled it: until then the history was that of the tab before.
  else if (!history && home?.isFound && home.tab !== tab) session.inherit(new History(session.text));
}

function takePlace(element, name) {
  const left = element.isConnected ? null : places.get(name)?.deref();
  if (left?.isConnected && left.childElementCount === 0) left.append(element);
  if (element.isConnected) places.delete(name);
}
