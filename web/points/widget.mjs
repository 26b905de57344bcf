// Puts the editor into the node Point Prompt. The value stays in the node's own text field `points`, at its place: the
// editor only shows and edits it, so saving, copying, subgraphs, the page's undo and the API know nothing of the editor.

import { PointsEditor } from "./editor.mjs";
import { findSource, isConnected, pictureRoute } from "./source.mjs";

const FIELD = "points";
const TYPE = "FIGURA_POINTS";
const LEAST_WIDTH = 360;
const LEAST_HEIGHT = 300;
const FIRST_HEIGHT = 400;
// How often links, fields and previews of other nodes are looked at: the page has no event for all of them.
const LOOK_MS = 400;

/**
 * Give a Point Prompt node its editor.
 * @param {object} node a node of the page
 * @param {object} app ComfyUI's application
 * @param {object} api ComfyUI's connection to its server
 */
export function addPointsEditor(node, app, api) {
  const field = node.widgets?.find((widget) => widget.name === FIELD);
  if (!field || typeof node.addDOMWidget !== "function") return null;
  const state = { source: null, key: "" };
  const editor = new PointsEditor({
    onChange: (text) => writeField(field, text, app),
    detect: (box) => detect(state.source, box, api),
    onWheel: (event) => passToGraph(event, editor, app),
  });
  hideField(field);
  addWidget(node, editor);
  const look = () => {
    editor.text = String(field.value ?? "");
    showSource(editor, node, state, app, api);
    editor.sharpen();
  };
  followField(node, field, look);
  lookWhileInGraph(node, editor, look);
  return editor;
}

/** Only a node that lies in a graph is watched: the page makes others, to copy them, and drops them silently. */
function lookWhileInGraph(node, editor, look) {
  let timer = null;
  let name = "";
  const check = () => {
    if (document.hidden || !node.graph) return;
    // Kept from here, because a graph that is emptied has lost its id before its nodes are removed.
    name = `${node.graph.id}:${node.id}`;
    moveIn(editor, name);
    look();
  };
  const start = () => {
    timer ??= setInterval(check, LOOK_MS);
    requestAnimationFrame(check);
  };
  chain(node, "onAdded", start);
  chain(node, "onRemoved", () => {
    clearInterval(timer);
    timer = null;
    if (editor.large.isOpen) editor.large.close();
    moveOut(editor, name);
  });
  if (node.graph) start();
}

// The page's undo makes every node anew, but Nodes 2.0 goes on with the place in which it had put the editor of the old
// node and never asks for the new one. So the old editor leaves its place to the next one of the same node.
const places = new Map();

function moveOut({ element }, name) {
  if (element.parentElement) places.set(name, new WeakRef(element.parentElement));
  element.remove();
}

function moveIn({ element }, name) {
  const left = element.isConnected ? null : places.get(name)?.deref();
  if (left?.isConnected && left.childElementCount === 0) left.append(element);
  if (element.isConnected) places.delete(name);
}

/** On the classic canvas the editor lies above the graph; in Nodes 2.0 the page gives the graph its wheel itself. */
function passToGraph(event, editor, app) {
  if (editor.element.closest(".dom-widget")) app.canvas?.processMouseWheel?.(event);
}

/** The text field stays, with its value and its input, but is not drawn. */
function hideField(field) {
  field.hidden = true;
  (field.options ??= {}).hidden = true;
  field.computeSize = () => [0, -4];
}

function addWidget(node, editor) {
  const widget = node.addDOMWidget("figura_editor", TYPE, editor.element, {
    serialize: false,
    hideOnZoom: false,
    getValue: () => editor.text,
    setValue: () => {},
    getMinHeight: () => LEAST_HEIGHT,
  });
  widget.serialize = false;
  atLeast(node, FIRST_HEIGHT - LEAST_HEIGHT);
}

/** Make the node large enough for its parts, and `more` px higher. */
function atLeast(node, more = 0) {
  const least = node.computeSize?.();
  if (least) node.setSize?.([Math.max(node.size[0], LEAST_WIDTH), Math.max(node.size[1], least[1] + more)]);
}

/** Look again when the field gets a value from elsewhere: a saved workflow, a pasted node, the page's undo. */
function followField(node, field, look) {
  const callback = field.callback;
  field.callback = function (...values) {
    const answer = callback?.apply(this, values);
    look();
    return answer;
  };
  chain(node, "onConfigure", () => {
    atLeast(node);
    look();
  });
  chain(node, "onConnectionsChange", () => queueMicrotask(look));
}

/** Run `more` after whatever the node has under that name. */
function chain(node, name, more) {
  const before = node[name];
  node[name] = function (...values) {
    const answer = before?.apply(this, values);
    more();
    return answer;
  };
}

function writeField(field, text, app) {
  field.value = text;
  field.callback?.(text);
  app.graph?.setDirtyCanvas?.(true, true);
  rememberStep(app);
}

/** Make an edit one step of the page's own undo, as if it had been typed into the field. */
function rememberStep(app) {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}

function showSource(editor, node, state, app, api) {
  // Links belong to the graph: a node that is only being copied has none.
  if (!node.graph) return;
  const source = findSource(node, "image", { rootGraph: app.rootGraph ?? app.graph, nodeOutputs: app.nodeOutputs });
  const note = noteFor(node, source);
  const key = JSON.stringify([source, note]);
  if (key === state.key) return;
  Object.assign(state, { source, key });
  editor.setPicture(source && api.apiURL(pictureRoute(source)), note);
}

function noteFor(node, source) {
  if (isConnected(node, FIELD)) return "points is connected: the node takes that text, not this one.";
  if (source) return "";
  return isConnected(node, "image")
    ? "The connected picture shows here after the first run; points can be set before."
    : "Connect a picture to image.";
}

async function detect(source, box, api) {
  const { kind, ...named } = source ?? {};
  const body = JSON.stringify({ ...(kind === "example" ? { example: named } : named), ...(box ? { box } : {}) });
  const headers = { "Content-Type": "application/json" };
  const answer = await api.fetchApi("/figura/detect_pose", { method: "POST", body, headers });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
  return said;
}
