// The editor in its node, on a stand-in for ComfyUI's page: whose results it shows, with several runs and several tabs.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { document, nextFrame } from "./stand_in.mjs";

const kept = new Map();
globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
const { addPointsEditor } = await import("../../web/points/page/widget.mjs");
const { listenForRuns } = await import("../../web/points/page/runs.mjs");

const LINKS = { 1: [1, 2], 2: [1, 3], 3: [2, 3] };
let page;
let runs = 0;

/** ComfyUI's page: one tab, and a connection that queues. */
function makePage() {
  const api = Object.assign(new EventTarget(), {
    apiURL: (route) => route, queuePrompt: async () => ({ prompt_id: `run ${(runs += 1)}` }),
  });
  listenForRuns(api);
  const app = { nodeOutputs: {}, extensionManager: { workflow: { activeWorkflow: { path: "one.json" } } }, nodes: [] };
  return { api, app, open: (tab) => { app.extensionManager.workflow.activeWorkflow = tab; } };
}

/** A graph of Load Image, Detect Pose and Point Prompt, as it is when the page fills a tab; its ids are always the same. */
function fill({ app, api }, text = "", picture = "A.png", id = "root") {
  const graph = { id, links: {}, getNodeById: (wanted) => graph.nodes.find((node) => node.id === wanted) };
  for (const [link, [origin_id, target_id]] of Object.entries(LINKS)) graph.links[link] = { id: Number(link), origin_id, origin_slot: 0, target_id, target_slot: 0 };
  const load = { id: 1, type: "LoadImage", graph, inputs: [], widgets: [{ name: "image", value: picture }], outputs: [{ type: "IMAGE", links: [1, 2] }] };
  const detect = { id: 2, type: "FiguraDetectPose", graph, inputs: [{ name: "image", link: 1, type: "IMAGE" }], widgets: [], outputs: [{ type: "POSE_KEYPOINT", links: [3] }] };
  const node = {
    id: 3, type: "FiguraPointPrompt", graph, size: [400, 500],
    inputs: [{ name: "image", link: 2, type: "IMAGE" }, { name: "pose_keypoint", link: 3, type: "POSE_KEYPOINT" }],
    widgets: [{ name: "prompt_type", value: "pose" }, { name: "points", value: text }, { name: "person", value: -1 }],
    addDOMWidget(name, type, element, options) {
      const widget = { name, type, element, options };
      Object.defineProperty(widget, "value", { get: options.getValue, set: options.setValue });
      this.widgets.push(widget);
      document.body.append(element);
      return widget;
    },
  };
  graph.nodes = [load, detect, node];
  app.graph = graph;
  app.nodes.push(node);
  const editor = addPointsEditor(node, app, api);
  nextFrame();
  return { node, editor, choose: (name) => { load.widgets[0].value = name; } };
}

/** The user presses Run. */
async function run({ api }, { node }) {
  node.widgets.find(({ name }) => name === "points").beforeQueued();
  await null;
  const { prompt_id } = await api.queuePrompt();
  return prompt_id;
}

/** The server tells the result of a node: the page passes it on to the node of that id that it shows. */
function answer({ api }, { node }, prompt_id, x, filename = "came.png") {
  api.dispatchEvent(Object.assign(new Event("executed"), { detail: { prompt_id } }));
  const joints = Array.from({ length: 18 }, (_, index) => [x + index, 100 + index, 1]).flat();
  const frame = { people: [{ pose_keypoints_2d: joints }], canvas_width: 512, canvas_height: 512, box: null, person: -1 };
  node.onExecuted({ figura_poses: [[frame]], figura_picture: [{ filename }] });
}

function look({ node }) {
  node.onConfigure();
}

const ghost = (shown) => (look(shown), shown.editor.session.ghosts.person.joints.nose?.x ?? null);

beforeEach(() => { page = makePage(); });
afterEach(() => page.app.nodes.forEach((node) => node.onRemoved()));

test("with two runs queued, each one's pose is shown on its own picture only", async () => {
  const shown = fill(page);
  const first = await run(page, shown);
  shown.choose("B.png");
  const second = await run(page, shown);
  answer(page, shown, first, 10);
  assert.equal(ghost(shown), null);
  assert.equal(shown.editor.session.adoptAll(), false);
  shown.choose("A.png");
  assert.equal(ghost(shown), 10);
  answer(page, shown, second, 20);
  assert.equal(ghost(shown), null);
  shown.choose("B.png");
  assert.equal(ghost(shown), 20);
});

test("a node that was made anew while its run is at work takes the result for the picture that was queued", async () => {
  const old = fill(page);
  const queued = await run(page, old);
  old.node.onRemoved();
  const shown = fill(page, "", "B.png");
  answer(page, shown, queued, 10);
  assert.equal(ghost(shown), null);
  shown.choose("A.png");
  assert.equal(ghost(shown), 10);
});

test("a result of another tab's run is that tab's, even of a graph with the same ids", async () => {
  const [one, other] = [{ path: "one.json" }, { path: "two.json" }];
  page.open(one);
  const first = fill(page);
  const queued = await run(page, first);
  first.node.onRemoved();
  page.open(other);
  const second = fill(page);
  answer(page, second, queued, 10);
  assert.equal(ghost(second), null);
  second.node.onRemoved();
  const third = fill(page, "", "A.png", "another graph");
  answer(page, third, queued, 30);
  assert.equal(ghost(third), null);
  third.node.onRemoved();
  page.open(one);
  assert.equal(ghost(fill(page)), 10);
});

test("a result of a run that is not known belongs to what comes in now", () => {
  const shown = fill(page);
  answer(page, shown, "from before the page was loaded", 10);
  assert.equal(ghost(shown), 10);
});

test("each tab undoes its own edits, and goes on with them when it is opened again", () => {
  const [one, other, saved] = [{}, {}, '{"positive":[[1,1]]}'];
  page.open(one);
  const first = fill(page, saved);
  first.editor.session.addPerson();
  const edited = first.editor.text;
  first.node.onRemoved();
  page.open(other);
  const second = fill(page, saved);
  assert.deepEqual([second.editor.session.history.canUndo, second.editor.session.history.canRedo], [false, false]);
  second.node.onRemoved();
  page.open(one);
  const again = fill(page, edited);
  again.editor.session.undo();
  assert.equal(again.editor.text, saved);
});

test("a picture that a run gave is kept for its tab, and by the tab's path when the page is loaded again", async () => {
  const { arrivedPicture, keepArrived } = await import("../../web/points/page/arrived.mjs");
  const [one, other] = [{ path: "one.json" }, { path: "two.json" }];
  const output = { figura_picture: [{ filename: "came.png", type: "temp" }] };
  keepArrived(one, "root:9", output, { picture: "key", pose: null });
  assert.equal(arrivedPicture(one, "root:9", "key").filename, "came.png");
  assert.deepEqual([arrivedPicture(one, "root:9", "another"), arrivedPicture(other, "root:9", "key")], [null, null]);
  const loaded = await import("../../web/points/page/arrived.mjs?again");
  const [same, another] = [{ path: "one.json" }, { path: "two.json" }];
  assert.equal(loaded.arrivedPicture(same, "root:9", "key").filename, "came.png");
  assert.equal(loaded.arrivedPicture(another, "root:9", "key"), null);
});

/** The pictures that are asked for from now on. */
function watchPictures(context) {
  const [asked, { Image }] = [[], globalThis];
  context.after(() => { globalThis.Image = Image; });
  globalThis.Image = class { set src(address) { this.address = address; asked.push(this); } };
  return asked;
}

test("a picture that could not be loaded is asked for again when the server is back", (context) => {
  const asked = watchPictures(context);
  const shown = fill(page);
  asked.at(-1).onerror();
  look(shown);
  assert.equal(asked.length, 1);
  page.api.dispatchEvent(new Event("reconnected"));
  look(shown);
  assert.deepEqual([asked.length, asked[1].address], [2, asked[0].address]);
  page.api.dispatchEvent(new Event("reconnected"));
  look(shown);
  assert.equal(asked.length, 2);
});

test("a picture that came in and is gone gives way to the one before the nodes that nobody knows", async (context) => {
  const asked = watchPictures(context);
  const shown = fill(page);
  const { nodes } = shown.node.graph;
  Object.assign(shown.node.graph.links[2], { origin_id: 4 });
  shown.node.graph.links[4] = { id: 4, origin_id: 1, origin_slot: 0, target_id: 4, target_slot: 0 };
  nodes.push({ id: 4, type: "Mystery", graph: shown.node.graph, inputs: [{ name: "image", type: "IMAGE", link: 4 }], widgets: [], outputs: [{ type: "IMAGE", links: [2] }] });
  answer(page, shown, await run(page, shown), 10, "came.png");
  look(shown);
  assert.match(asked.at(-1).address, /came\.png/);
  asked.at(-1).onerror();
  assert.match(asked.at(-1).address, /A\.png/);
  asked.at(-1).onerror();
  const { length } = asked;
  look(shown);
  assert.equal(asked.length, length);
  answer(page, shown, await run(page, shown), 10, "again.png");
  assert.match(asked.at(-1).address, /again\.png/);
});
