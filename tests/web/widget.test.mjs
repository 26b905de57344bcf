// The editor in its node, on a stand-in for ComfyUI's page: whose results it shows, with several runs and several tabs.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { document, nextFrame, send } from "./stand_in.mjs";

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

/** A server with files: name -> {tag, size, status, said}; and what it was asked. */
function serve(context, files) {
  const asked = [];
  const { Image } = globalThis;
  context.after(() => { globalThis.Image = Image; });
  page.api.fetchApi = async (route, { headers = {}, method } = {}) => {
    const name = new URLSearchParams(route.split("?")[1]).get("filename");
    const { tag, status = 200, said = {} } = files[name] ?? { status: 404, said: { error: "there is no picture" } };
    if (status === 0) throw new TypeError("Failed to fetch");
    const isKnown = status === 200 && tag !== undefined && headers["If-None-Match"] === tag;
    if (method !== "HEAD") asked.push(isKnown ? `${name} is as it was` : name);
    return {
      ok: status === 200 && !isKnown, status: isKnown ? 304 : status, json: async () => said,
      blob: async () => new Blob([name]), headers: { get: () => tag ?? null },
    };
  };
  globalThis.Image = class {
    set src(address) {
      const [this_one] = asked.slice(-1);
      [this.naturalWidth, this.naturalHeight] = files[this_one]?.size ?? [100, 50];
      queueMicrotask(() => this.onload(address));
    }
  };
  return asked;
}

/** What was begun has come to its end. */
const settled = () => new Promise((done) => setTimeout(done, 5));
const line = ({ editor }) => (nextFrame(), editor.parts.message.textContent);
const comeBack = ({ editor }) => (send(editor.element, "focusin"), settled());

test("a picture that could not be loaded is asked for again when the server is back", async (context) => {
  const files = { "A.png": { status: 0 } };
  const asked = serve(context, files);
  const shown = fill(page);
  await settled();
  assert.match(line(shown), /could not be loaded: Failed to fetch/);
  look(shown);
  files["A.png"] = { tag: "1" };
  page.api.dispatchEvent(new Event("reconnected"));
  await settled();
  page.api.dispatchEvent(new Event("reconnected"));
  await settled();
  assert.deepEqual([asked, line(shown).includes("could not")], [["A.png"], false]);
});

/** Put a node of which nobody knows what it does between loader and prompt. */
function putBetween({ node: { graph } }) {
  Object.assign(graph.links[2], { origin_id: 4 });
  graph.links[4] = { id: 4, origin_id: 1, origin_slot: 0, target_id: 4, target_slot: 0 };
  graph.nodes.push({ id: 4, type: "Mystery", graph, inputs: [{ name: "image", type: "IMAGE", link: 4 }], widgets: [], outputs: [{ type: "IMAGE", links: [2] }] });
}

test("a dropped picture that the server does not take is named, with the reason and what to do", async () => {
  const shown = fill(page);
  const drop = async (answer) => {
    page.api.fetchApi = async () => ({ ok: false, ...answer });
    await shown.editor.takePicture(new File([new Uint8Array(1_200_000)], "me.png", { type: "image/png" }));
    return line(shown);
  };
  assert.match(await drop({ status: 413 }), /^me\.png has 2 MB, more than the server takes: .* --max-upload-size/);
  assert.equal(await drop({ status: 403, statusText: "Forbidden" }), "me.png was not taken by the server: 403 Forbidden");
});

test("what a run brought gives way when the file that it was made of is written anew", async (context) => {
  const files = { "A.png": { tag: "1" }, "came.png": { tag: "x" } };
  const asked = serve(context, files);
  const shown = fill(page);
  putBetween(shown);
  answer(page, shown, await run(page, shown), 10, "came.png");
  await settled();
  await comeBack(shown);
  assert.deepEqual(asked.slice(-2), ["came.png", "came.png is as it was"]);
  files["A.png"].tag = "2";
  await comeBack(shown);
  await settled();
  assert.deepEqual([asked.at(-1), ghost(shown)], ["A.png", null]);
  assert.match(line(shown), /saved anew/);
  answer(page, shown, await run(page, shown), 10, "came.png");
  await settled();
  assert.equal(asked.at(-1), "came.png");
});

test("a picture that came in and is gone gives way to the one before the nodes that nobody knows", async (context) => {
  const files = { "A.png": { tag: "1" }, "came.png": { status: 404 } };
  const asked = serve(context, files);
  const shown = fill(page);
  putBetween(shown);
  answer(page, shown, await run(page, shown), 10, "came.png");
  await settled();
  assert.deepEqual(asked.slice(-2), ["came.png", "A.png"]);
  look(shown);
  await settled();
  assert.deepEqual(asked.slice(-2), ["came.png", "A.png"]);
  answer(page, shown, await run(page, shown), 10, "again.png");
  await settled();
  assert.ok(asked.includes("again.png"));
});

test("a picture that was written anew under its name is shown when the user comes back, and its points stay", async (context) => {
  const files = { "A.png": { tag: "1", size: [100, 50] } };
  const asked = serve(context, files);
  const text = '{"width":100,"height":50,"positive":[[10,20]]}';
  const shown = fill(page, text);
  await settled();
  await comeBack(shown);
  assert.deepEqual(asked, ["A.png", "A.png is as it was"]);
  files["A.png"].tag = "2";
  await comeBack(shown);
  assert.match(line(shown), /saved anew: here is the new one/);
  Object.assign(files["A.png"], { tag: "3", size: [200, 100] });
  await comeBack(shown);
  assert.equal(line(shown), "The picture was saved anew: 200 × 100, before 100 × 50. The points are scaled to it.");
  assert.deepEqual([shown.editor.session.size, shown.editor.session.doc.positive, shown.editor.text], [[200, 100], [[20, 40]], text]);
  Object.assign(files["A.png"], { tag: "4", size: [100, 100] });
  await comeBack(shown);
  assert.equal(shown.editor.session.shape.to.join(), "100,100");
  assert.equal(asked.length, 5);
});

test("coming back to the page, a run and the loader's field make one look; nothing else does", async (context) => {
  const asked = serve(context, { "A.png": { tag: "1" } });
  const shown = fill(page);
  await settled();
  look(shown);
  page.app.nodeOutputs["root:1"] = { images: [{ filename: "A.png" }] };
  look(shown);
  await settled();
  look(shown);
  answer(page, shown, await run(page, shown), 10);
  await settled();
  assert.equal(asked.length, 3);
  context.mock.method(document, "hasFocus", () => false);
  await new Promise((done) => setTimeout(done, 500));
  assert.equal(asked.length, 3);
  context.mock.restoreAll();
  await new Promise((done) => setTimeout(done, 900));
  assert.deepEqual(asked.slice(1), Array(3).fill("A.png is as it was"));
  page.api.dispatchEvent(new Event("execution_start"));
  await new Promise((done) => setTimeout(done, 900));
  assert.equal(asked.length, 5);
});

test("joints that came in with a picture go with it when it is written anew, but not those of the new one", async (context) => {
  const files = { "A.png": { tag: "1", size: [512, 512] } };
  serve(context, files);
  const shown = fill(page);
  await settled();
  answer(page, shown, await run(page, shown), 10);
  await settled();
  files["A.png"].tag = "2";
  await comeBack(shown);
  assert.equal(ghost(shown), null);
  files["A.png"].tag = "3";
  answer(page, shown, await run(page, shown), 20);
  await settled();
  assert.equal(ghost(shown), 20);
});

test("a server that is away for a moment takes no picture away; a file that is gone is said to be", async (context) => {
  const files = { "A.png": { tag: "1" } };
  serve(context, files);
  const shown = fill(page);
  await settled();
  files["A.png"].status = 0;
  await comeBack(shown);
  assert.equal(shown.editor.canImport, true);
  Object.assign(files["A.png"], { tag: "1b", status: 200 });
  await comeBack(shown);
  delete files["A.png"];
  await comeBack(shown);
  assert.deepEqual([shown.editor.canImport, line(shown)], [false, "A.png is not in the input folder: choose another picture, or put it there again."]);
  files["A.png"] = { tag: "2" };
  await comeBack(shown);
  assert.equal(shown.editor.canImport, true);
});

test("a picture that is too large or none says what came, what is taken and what to do, in the page's language", async (context) => {
  const large = { problem: "too_large", width: 9000, height: 8000, megapixels: 64, side: 65500 };
  const files = { "A.png": { status: 400, said: large }, "B.png": { status: 400, said: { problem: "unreadable" } } };
  serve(context, files);
  const shown = fill(page);
  await settled();
  assert.match(line(shown), /^A\.png has 9000 × 8000 pixels; at most 64 megapixels and 65500 pixels a side .* smaller copy/);
  assert.ok(shown.editor.parts.line.classList.contains("wrong"));
  shown.choose("B.png");
  look(shown);
  await settled();
  assert.match(line(shown), /^B\.png cannot be read .* PNG or JPEG/);
  for (const [locale, words] of [["zh", "缩放"], ["ja", "縮小"]]) {
    page.app.extensionManager.setting = { get: () => locale };
    const other = fill(page);
    await settled();
    assert.ok(line(other).includes("9000 × 8000") && line(other).includes(words), line(other));
  }
  page.app.extensionManager.setting = null;
  fill(page);
});

test("of a picture that is too large, what a node made of it is shown after a run", async (context) => {
  const files = { "A.png": { status: 400, said: { problem: "too_large" } }, "came.png": { size: [64, 32] } };
  serve(context, files);
  const shown = fill(page);
  await settled();
  assert.equal(shown.editor.canImport, false);
  answer(page, shown, await run(page, shown), 10, "came.png");
  await settled();
  assert.deepEqual([shown.editor.canImport, shown.editor.session.size], [true, [64, 32]]);
});
