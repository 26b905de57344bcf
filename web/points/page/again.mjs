// The page's undo makes every node anew. The new node's editor goes on where the old one was: with its history, and in
// Nodes 2.0, which never asks the new node for its editor, in its place on the page.

const places = new Map();
const histories = new Map();

/** What tells a node from others, however often the page makes it anew. */
export function nameOf(node) {
  return `${node.graph.id}:${node.id}`;
}

/** The node of this editor is gone. */
export function moveOut({ element, session }, name) {
  if (element.parentElement) places.set(name, new WeakRef(element.parentElement));
  histories.set(name, session.history);
  element.remove();
}

/** The node of this editor is there. */
export function moveIn({ element, session }, name) {
  const left = element.isConnected ? null : places.get(name)?.deref();
  if (left?.isConnected && left.childElementCount === 0) left.append(element);
  if (element.isConnected) places.delete(name);
  const history = histories.get(name);
  histories.delete(name);
  if (history && history !== session.history) session.inherit(history);
}
