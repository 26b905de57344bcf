// Puts the editor into the node Point Prompt. The value stays in the node's own field `points`: the editor only shows and
// edits it, so saving, copying, subgraphs, the page's undo and the API know nothing of the editor.

import { PointsEditor } from "../editor.mjs";
import { say, setLanguage } from "../words/words.mjs";
import { moveIn, moveOut, nameOf } from "./again.mjs";
import { arrivedPicture, arrivedPose, forgetPicture, forgetPose, keepArrived } from "./arrived.mjs";
import { boxInSource, frameAfter, peopleInFrame, wholeFrame } from "./changes.mjs";
import { takePicture } from "./drops.mjs";
import { chain, FIELD, makeRoom, replaceField } from "./field.mjs";
import { isConnected, originOf, slotOf, widgetValue } from "./links.mjs";
import { begunRuns, queuedNode, queueNode } from "./runs.mjs";
import { ServedPicture } from "./served.mjs";
import { findPicture, pictureRoute } from "./source.mjs";
import { tabOf } from "./tabs.mjs";
import { keepGraphStill } from "./touch.mjs";

const IMAGE_INPUT = "image";
const POSE_INPUT = "pose_keypoint";
const BOX_INPUT = "bounding_box";
const DETECT_NODE = "FiguraDetectPose";
const KIND_FIELD = "prompt_type";
// How often links, fields and previews of other nodes are looked at: the page has no event for all of them.
const LOOK_MS = 400;

/**
 * Give a Point Prompt node its editor.
 * @param {object} node a node of the page
 * @param {object} app ComfyUI's application
 * @param {object} api ComfyUI's connection to its server
 */
export function addPointsEditor(node, app, api) {
  setLanguage(app.extensionManager?.setting?.get?.("Comfy.Locale"));
  const state = {
    picture: null, frame: null, key: "", refused: null, output: null, said: null, served: new ServedPicture(api),
  };
  const editor = new PointsEditor({
    onChange: (text) => writeField(widget, text, app),
    detect: (box) => detect(state, box, detectorOf(node, app), api),
    detector: () => detectorOf(node, app),
    onWheel: (event) => passToGraph(event, editor, app),
    onPicture: (file) => takePicture(node, file, { app, api, page: pageOf(app) }),
  });
  const look = () => {
    // Links belong to the graph: a node that is only being copied has none.
    if (!node.graph) return;
    showPicture(editor, node, state, app, api);
    showIncoming(editor, node, app);
    editor.session.showPrompt(promptOf(node));
    editor.sharpen();
  };
  // Once a graph is queued, the page may give seeds their next values; what comes in belongs to those it was queued with.
  const remember = () => queueMicrotask(() => node.graph && queueNode(nameOf(node), stateOf(node, app)));
  const widget = replaceField(node, editor, { changed: () => look(), beforeQueued: remember });
  if (!widget) return null;
  keepGraphStill(editor.element, () => app.canvas?.ds ?? null);
  chain(node, "onConfigure", () => {
    makeRoom(node);
    look();
  });
  chain(node, "onConnectionsChange", () => queueMicrotask(look));
  chain(node, "onExecuted", (output) => {
    if (!node.graph) return;
    keepResult(node, output, app);
    look();
    state.served.lookAgain("ran");
  });
  // It hears of who comes from elsewhere on the page only.
  editor.element.addEventListener("focusin", () => state.served.lookAgain("back"));
  lookWhileInGraph(node, editor, app, { look, lookAgain: () => state.served.lookAgain("back") });
  return editor;
}

/** Only a node that lies in a graph is watched: the page makes others, to copy them, and drops them silently. */
function lookWhileInGraph(node, editor, app, { look, lookAgain }) {
  let timer = null;
  let [wasHere, runs] = [true, begunRuns()];
  const check = () => {
    const isReason = document.hasFocus() && !wasHere || begunRuns() !== runs;
    wasHere = document.hasFocus();
    if (document.hidden || !node.graph) return;
    runs = begunRuns();
    moveIn(editor, tabOf(app), nameOf(node));
    look();
    if (isReason) lookAgain();
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
    moveOut(editor);
  });
  if (node.graph) start();
}

/** On the classic canvas the editor lies above the graph; in Nodes 2.0 the page gives the graph its wheel itself. */
function passToGraph(event, editor, app) {
  if (editor.element.closest(".dom-widget")) app.canvas?.processMouseWheel?.(event);
}

/** An edit is one step of the page's own undo, as if it had been typed into the field. */
function writeField(widget, text, app) {
  widget.callback?.(text);
  app.graph?.setDirtyCanvas?.(true, true);
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}

/** Where picture and pose come from: what came in is shown as long as both are still the same. */
function incomingKeys(node, app) {
  const picture = findPicture(node, IMAGE_INPUT, pageOf(app)).key;
  const pose = isConnected(node, POSE_INPUT) ? `${picture} ${findPicture(node, POSE_INPUT, pageOf(app)).key}` : null;
  return { picture, pose };
}

/** What a result of the node belongs to, if it is of a run that is queued now. */
function stateOf(node, app) {
  return { tab: tabOf(app), keys: incomingKeys(node, app) };
}

function keepResult(node, output, app) {
  const name = nameOf(node);
  const state = queuedNode(name);
  if (state === null) return;
  const { tab, keys } = state ?? stateOf(node, app);
  keepArrived(tab, name, output, keys);
}

function showIncoming(editor, node, app) {
  const pose = arrivedPose(tabOf(app), nameOf(node), incomingKeys(node, app).pose);
  if (!pose) return editor.showIncoming(null);
  const person = widgetValue(node, "person") ?? pose.person;
  return editor.showIncoming(pose, Number.isInteger(person) ? person : -1);
}

/** The chosen kind of prompt as the editor's session knows it; null when its field is connected, or unknown. */
function promptOf(node) {
  const name = widgetValue(node, KIND_FIELD);
  const kind = node.constructor.nodeData?.input?.required?.[KIND_FIELD]?.[1]?.kinds?.[name];
  return kind ? { ...kind, name, hasBox: isConnected(node, BOX_INPUT), hasPose: isConnected(node, POSE_INPUT) } : null;
}

function showPicture(editor, node, state, app, api) {
  const { source, changes, before, key, output } = findPicture(node, IMAGE_INPUT, pageOf(app));
  // The field that names the file was set once more: it may have been uploaded under its old name.
  const isSetAgain = output !== state.output;
  if (isSetAgain) Object.assign(state, { output, refused: null });
  const isRefused = source !== null && state.refused === JSON.stringify(source);
  const arrived = before || !source || isRefused ? arrivedPicture(tabOf(app), nameOf(node), key) : null;
  const picture = arrived ?? source;
  const note = noteFor(node, picture, arrived ? null : before);
  const shown = JSON.stringify([picture, note, key]);
  if (shown === state.key) return void (isSetAgain && state.served.lookAgain("set"));
  state.key = shown;
  // What was said of the picture before is no longer so.
  const hush = () => editor.session.message === state.said && editor.session.say("");
  hush();
  if (!picture) state.picture = null;
  const told = {
    shown: (image, why) => {
      const size = [image.naturalWidth, image.naturalHeight];
      const old = editor.session.size;
      Object.assign(state, { picture, frame: arrived ? wholeFrame(size) : frameAfter(changes, size) });
      editor.setPicture(image, state.frame, note);
      if (!why) return;
      editor.session.say((state.said = renewed(old, editor.session)));
      // What came in was found in the picture before, but not when the run that brought it made one look.
      if (why !== "ran" && node.graph) forgetPose(tabOf(app), nameOf(node));
    },
    failed: (error) => {
      // A server that was away is asked again when it is back.
      if (!error.said) api.addEventListener("reconnected", () => state.served.lookAgain("back"), { once: true });
      else if (arrived) forgetPicture(tabOf(app), nameOf(node));
      else if (error.said.problem === "too_large") state.refused = JSON.stringify(source);
      state.picture = null;
      hush();
      editor.setPicture(null, null, reasonFor(error, picture), true);
      if (node.graph) showPicture(editor, node, state, app, api);
    },
    outdated: () => {
      if (!node.graph) return;
      for (const forget of [forgetPicture, forgetPose]) forget(tabOf(app), nameOf(node));
      state.refused = null;
      showPicture(editor, node, state, app, api);
      editor.session.say((state.said = say("say.renewed")));
    },
  };
  if (picture) editor.setNote(note);
  else editor.setPicture(null, null, note);
  state.served.show(picture && pictureRoute(picture), told, arrived && source && pictureRoute(source));
}

/** What is said when the file of the shown picture was written anew. */
function renewed(old, { size, isScaled }) {
  if (old.join() === size.join()) return say("say.renewed");
  const sizes = { from: old.join(" × "), to: size.join(" × ") };
  return say(isScaled ? "say.renewedScaled" : "say.renewedSize", sizes);
}

/** Why a picture is not shown, and what can be done about it. */
function reasonFor({ said, status, message }, { filename, type }) {
  if (said?.problem === "too_large") {
    const size = said.width ? `${said.width} × ${said.height}` : `> ${said.over}`;
    return say("note.tooLarge", { name: filename, size, most: said.megapixels, side: said.side });
  }
  if (said?.problem === "unreadable") return say("note.unreadable", { name: filename });
  return status === 404 ? say("note.gone", { name: filename, folder: type }) : say("note.notLoaded", { reason: message });
}

function pageOf(app) {
  return { rootGraph: app.rootGraph ?? app.graph, nodeOutputs: app.nodeOutputs };
}

function noteFor(node, source, before) {
  if (isConnected(node, FIELD)) return say("note.connected");
  if (source) return before ? say("note.before", { node: before }) : "";
  return say(isConnected(node, IMAGE_INPUT) ? "note.later" : "note.connect");
}

/** The detector that is chosen in the Detect Pose whose pose comes in, or else the one that comes with the pack. */
function detectorOf(node, app) {
  const maker = originOf(node, slotOf(node, POSE_INPUT), pageOf(app))?.node;
  return (maker?.type === DETECT_NODE && widgetValue(maker, "detector")) || "mini";
}

/** The people in the shown picture, in its pixels. The server looks at the source; the node may get a part of it. */
async function detect({ picture, frame }, box, detector, api) {
  const { kind, ...named } = picture ?? {};
  const place = box ? { box: boxInSource(box, frame) } : {};
  const body = JSON.stringify({ ...(kind === "example" ? { example: named } : named), ...place, detector });
  const headers = { "Content-Type": "application/json" };
  const answer = await api.fetchApi("/figura/detect_pose", { method: "POST", body, headers });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? String(answer.status));
  return peopleInFrame(said, frame);
}
