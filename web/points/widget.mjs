// Puts the editor into the node Point Prompt. The value stays in the node's own text field `points`, at its place: the
// editor only shows and edits it, so saving, copying, subgraphs, the page's undo and the API know nothing of the editor.

import { PointsEditor } from "./editor.mjs";
import { findSource, identityOf, isConnected, pictureRoute, widgetValue } from "./source.mjs";

const FIELD = "points";
const POSE_INPUT = "pose_keypoint";
// What the node hands over when it ran: see nodes/people.py.
const POSES = "figura_poses";
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
  const state = { source: null, key: "", queued: null };
  const editor = new PointsEditor({
    onChange: (text) => writeField(field, text, app),
    detect: (box) => detect(state.source, box, api),
    onWheel: (event) => passToGraph(event, editor, app),
  });
  hideField(field);
  // Once a graph is queued, the page may give seeds their next values; what comes in belongs to those it was queued with.
  const remember = () => queueMicrotask(() => { state.queued = node.graph ? incomingKey(node, app) : null; });
  addWidget(node, editor, remember);
  const look = () => {
    editor.text = String(field.value ?? "");
    showSource(editor, node, state, app, api);
    showIncoming(editor, node, app);
    editor.sharpen();
  };
  followField(node, field, look);
  chain(node, "onExecuted", (output) => {
    if (!node.graph) return;
    keepIncoming(node, output, state.queued ?? incomingKey(node, app));
    look();
  });
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
    name = nameOf(node);
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

function nameOf(node) {
  return `${node.graph.id}:${node.id}`;
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

function addWidget(node, editor, beforeQueued) {
  const widget = node.addDOMWidget("figura_editor", TYPE, editor.element, {
    serialize: false,
    hideOnZoom: false,
    getValue: () => editor.text,
    setValue: () => {},
    getMinHeight: () => LEAST_HEIGHT,
  });
  widget.serialize = false;
  widget.beforeQueued = beforeQueued;
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

// What came into each node by its name: the page's undo makes nodes anew, and a node that is cached is not told again.
const arrived = new Map();

function keepIncoming(node, output, key) {
  if (!Array.isArray(output?.[POSES])) return;
  arrived.set(nameOf(node), { pose: output[POSES][0]?.[0] ?? null, key });
}

/** Where picture and pose come from: joints that came in are shown as long as both are still the same. */
function incomingKey(node, app) {
  const page = pageOf(app);
  return isConnected(node, POSE_INPUT) ? `${identityOf(node, "image", page)} ${identityOf(node, POSE_INPUT, page)}` : null;
}

function showIncoming(editor, node, app) {
  const kept = node.graph ? arrived.get(nameOf(node)) : null;
  const key = kept?.pose ? incomingKey(node, app) : null;
  if (key === null || key !== kept.key) return editor.showIncoming(null);
  const person = widgetValue(node, "person") ?? kept.pose.person;
  editor.showIncoming(kept.pose, Number.isInteger(person) ? person : -1);
}

/** Run `more` after whatever the node has under that name. */
function chain(node, name, more) {
  const before = node[name];
  node[name] = function (...values) {
    const answer = before?.apply(this, values);
    more(...values);
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
  const source = findSource(node, "image", pageOf(app));
  const note = noteFor(node, source);
  const key = JSON.stringify([source, note]);
  if (key === state.key) return;
  Object.assign(state, { source, key });
  editor.setPicture(source && api.apiURL(pictureRoute(source)), note);
}

function pageOf(app) {
  return { rootGraph: app.rootGraph ?? app.graph, nodeOutputs: app.nodeOutputs };
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
