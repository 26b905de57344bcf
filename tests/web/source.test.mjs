// Following links from a node to the picture, in stand-ins for the page's graph.

import assert from "node:assert/strict";
import { test } from "node:test";
import { frameAfter } from "../../web/points/page/changes.mjs";
import { isConnected } from "../../web/points/page/links.mjs";
import { findPicture, pictureRoute, readFileName } from "../../web/points/page/source.mjs";

const findSource = (...given) => findPicture(...given).source;
const identityOf = (...given) => findPicture(...given).key;

/** A graph of nodes {id, type, ...} and links [id, origin, origin slot, target, target slot]. */
function graphOf(nodes, links, id = "root", linksAsMap = true) {
  const all = links.map(([link, origin_id, origin_slot, target_id, target_slot]) => ({ id: link, origin_id, origin_slot, target_id, target_slot }));
  const graph = { id, nodes, getNodeById: (wanted) => nodes.find((node) => String(node.id) === String(wanted)) ?? null };
  graph.links = linksAsMap ? new Map(all.map((link) => [link.id, link])) : Object.fromEntries(all.map((link) => [link.id, link]));
  for (const node of nodes) node.graph = graph;
  return graph;
}

const prompt = (link) => ({ id: 9, type: "FiguraPointPrompt", inputs: [{ name: "image", type: "IMAGE", link }] });
const load = (value) => ({ id: 1, type: "LoadImage", widgets: [{ name: "image", value }], inputs: [], outputs: [{ type: "IMAGE", links: [1] }] });
const FILE = { kind: "file", filename: "me.png", subfolder: "", type: "input" };

for (const asMap of [true, false]) {
  test(`a loaded file is found at once (links as ${asMap ? "map" : "object"})`, () => {
    const node = prompt(1);
    graphOf([load("me.png"), node], [[1, 1, 0, 9, 0]], "root", asMap);
    assert.deepEqual(findSource(node, "image"), FILE);
    assert.ok(isConnected(node, "image"));
  });
}

test("nothing connected is no picture", () => {
  const node = prompt(null);
  graphOf([node], []);
  assert.equal(findSource(node, "image"), null);
  assert.equal(findSource(node, "other"), null);
  assert.equal(isConnected(node, "image"), false);
});

test("reroutes and bypassed nodes are passed", () => {
  const node = prompt(3);
  const reroute = { id: 2, type: "Reroute", inputs: [{ name: "", type: "*", link: 1 }], outputs: [{ type: "*" }] };
  const bypassed = {
    id: 3, type: "ImageScale", mode: 4, outputs: [{ type: "IMAGE" }],
    inputs: [{ name: "mask", type: "MASK", link: null }, { name: "image", type: "IMAGE", link: 2 }],
  };
  graphOf([load("me.png"), reroute, bypassed, node], [[1, 1, 0, 2, 0], [2, 2, 0, 3, 1], [3, 3, 0, 9, 0]]);
  assert.deepEqual(findSource(node, "image"), FILE);
});

test("a ring of reroutes ends", () => {
  const node = prompt(2);
  const ring = { id: 2, type: "Reroute", inputs: [{ name: "", type: "*", link: 1 }], outputs: [{ type: "*" }] };
  graphOf([ring, node], [[1, 2, 0, 2, 0], [2, 2, 0, 9, 0]]);
  assert.equal(findSource(node, "image"), null);
});

test("a picture from outside of a subgraph, and from inside of one", () => {
  const inner = prompt(5);
  const subgraph = graphOf([inner], [[5, -10, 0, 9, 0]], "sub");
  const holder = { id: 4, type: "uuid", subgraph, inputs: [{ name: "picture", type: "IMAGE", link: 1 }] };
  const rootGraph = graphOf([load("me.png"), holder], [[1, 1, 0, 4, 0]]);
  assert.deepEqual(findSource(inner, "image", { rootGraph }), FILE);

  const loader = { ...load("in.png"), id: 7 };
  const maker = graphOf([loader], [[8, 7, 0, -20, 0]], "maker");
  const outside = prompt(2);
  graphOf([{ id: 6, type: "uuid", subgraph: maker, inputs: [] }, outside], [[2, 6, 0, 9, 0]]);
  assert.equal(findSource(outside, "image").filename, "in.png");
});

test("a subgraph that only passes the picture on", () => {
  const pass = graphOf([], [[5, -10, 0, -20, 0]], "pass");
  const node = prompt(2);
  graphOf([load("me.png"), { id: 4, type: "uuid", subgraph: pass, inputs: [{ name: "a", type: "IMAGE", link: 1 }] }, node],
    [[1, 1, 0, 4, 0], [2, 4, 0, 9, 0]]);
  assert.deepEqual(findSource(node, "image"), FILE);
});

test("what a node's last run showed, by its output or its pictures", () => {
  const made = { id: 3, type: "VAEDecode", outputs: [{ type: "IMAGE", links: [1] }], inputs: [] };
  const node = prompt(1);
  graphOf([made, node], [[1, 3, 0, 9, 0]]);
  assert.equal(findSource(node, "image"), null);
  const nodeOutputs = { 3: { images: [{ filename: "t.png", subfolder: "a", type: "temp" }] } };
  assert.deepEqual(findSource(node, "image", { nodeOutputs }), { kind: "file", filename: "t.png", subfolder: "a", type: "temp" });
  made.imgs = [{ src: "http://host/api/view?filename=x%20y.png&type=temp&subfolder=&rand=1" }];
  assert.deepEqual(findSource(node, "image"), { kind: "file", filename: "x y.png", subfolder: "", type: "temp" });
  made.imgs = [{ src: "blob:http://host/1" }];
  assert.equal(findSource(node, "image"), null);
});

test("what a preview beside the node showed", () => {
  const made = { id: 3, type: "VAEDecode", outputs: [{ type: "IMAGE", links: [1, 2] }], inputs: [] };
  const viewer = { id: 4, type: "PreviewImage", inputs: [{ name: "images", type: "IMAGE", link: 2 }] };
  const node = prompt(1);
  graphOf([made, viewer, node], [[1, 3, 0, 9, 0], [2, 3, 0, 4, 0]]);
  const nodeOutputs = { "root:4": { images: [{ filename: "p.png", subfolder: "", type: "temp" }] } };
  assert.equal(findSource(node, "image", { nodeOutputs }).filename, "p.png");
});

test("an example person is drawn by the server, from its fields", () => {
  const widgets = [["seed", 10000007], ["size", 128], ["occlusion", 0.35]].map(([name, value]) => ({ name, value }));
  const node = prompt(1);
  graphOf([{ id: 2, type: "FiguraExamplePerson", widgets, inputs: [], outputs: [] }, node], [[1, 2, 1, 9, 0]]);
  const source = findSource(node, "image");
  assert.deepEqual(source, { kind: "example", seed: 10000007, size: 128, occlusion: 0.35, slot: 1 });
  assert.equal(pictureRoute(source), "/figura/example_person?seed=10000007&size=128&occlusion=0.35&slot=1");
});

test("file names as the page writes them", () => {
  assert.deepEqual(readFileName("a/b/c.png"), { kind: "file", filename: "c.png", subfolder: "a/b", type: "input" });
  assert.deepEqual(readFileName("c d.png [output]"), { kind: "file", filename: "c d.png", subfolder: "", type: "output" });
  assert.equal(readFileName("folder/"), null);
  assert.equal(pictureRoute(readFileName("a&b.png")), "/figura/picture?filename=a%26b.png&subfolder=&type=input");
});

test("a muted node, a file that is linked, and a name that is no text give no picture", () => {
  const node = prompt(1);
  const loader = load(7);
  graphOf([loader, node], [[1, 1, 0, 9, 0]]);
  assert.equal(findSource(node, "image"), null);
  loader.mode = 2;
  loader.widgets[0].value = "me.png";
  assert.equal(findSource(node, "image"), null);
});

test("an input is told from another by its origin and the picture named there, not by what a run showed", () => {
  const node = prompt(1);
  const loader = load("me.png");
  const maker = { id: 2, type: "ImageScale", inputs: [], outputs: [{ type: "IMAGE", links: [2] }] };
  const graph = graphOf([loader, maker, node], [[1, 1, 0, 9, 0], [2, 2, 0, 9, 0]]);
  const loaded = identityOf(node, "image");
  assert.equal(identityOf(node, "image"), loaded);
  loader.widgets[0].value = "you.png";
  assert.notEqual(identityOf(node, "image"), loaded);
  node.inputs[0].link = 2;
  const made = identityOf(node, "image");
  assert.equal(identityOf(node, "image", { nodeOutputs: { 2: { images: [{ filename: "a.png" }] } } }), made);
  assert.notEqual(made, loaded);
  maker.id = 77;
  graph.links.get(2).origin_id = 78;
  assert.equal(typeof identityOf(node, "image"), "string");
  node.inputs[0].link = null;
  assert.deepEqual([identityOf(node, "image"), identityOf(node, "other")], [null, null]);
});

const image = (link, name = "image") => ({ name, type: "IMAGE", link });
const fields = (values) => Object.entries(values).map(([name, value]) => ({ name, value }));

test("behind a Get and a Set node, whatever their names", () => {
  const setter = { id: 2, type: "SetNode", widgets: fields({ Constant: "photo" }), inputs: [image(1)], outputs: [] };
  const getter = { id: 3, type: "GetNode", widgets: fields({ Constant: "photo" }), inputs: [], outputs: [{ type: "IMAGE", links: [2] }] };
  const node = prompt(2);
  graphOf([load("me.png"), setter, getter, node], [[1, 1, 0, 2, 0], [2, 3, 0, 9, 0]]);
  assert.deepEqual(findSource(node, "image"), FILE);
  getter.widgets[0].value = "other";
  assert.equal(findSource(node, "image"), null);
});

test("a switch takes the first input that gives something", () => {
  const muted = { ...load("off.png"), id: 5, mode: 2 };
  const any = { id: 3, type: "Any Switch (rgthree)", inputs: [image(null, "any_01"), image(4, "any_02"), image(1, "any_03")], outputs: [{ type: "IMAGE" }] };
  const node = prompt(2);
  graphOf([load("me.png"), muted, any, node], [[1, 1, 0, 3, 2], [4, 5, 0, 3, 1], [2, 3, 0, 9, 0]]);
  assert.deepEqual(findSource(node, "image"), FILE);
});

test("a bypassed node of several pictures gives on the one at the output's number", () => {
  const other = { ...load("other.png"), id: 2 };
  const bypassed = {
    id: 3, type: "Two", mode: 4, inputs: [image(1, "a"), image(2, "b")], outputs: [{ type: "IMAGE" }, { type: "IMAGE" }],
  };
  const node = prompt(3);
  graphOf([load("me.png"), other, bypassed, node], [[1, 1, 0, 3, 0], [2, 2, 0, 3, 1], [3, 3, 1, 9, 0]]);
  assert.equal(findSource(node, "image").filename, "other.png");
});

test("nodes that scale and cut are passed, and what they do is known in their order", () => {
  const cut = { id: 2, type: "ImageCrop", inputs: [image(1)], outputs: [{ type: "IMAGE" }], widgets: fields({ width: 200, height: 100, x: 20, y: 10 }) };
  const scale = {
    id: 3, type: "ImageScale", inputs: [image(2)], outputs: [{ type: "IMAGE" }],
    widgets: fields({ upscale_method: "area", width: 100, height: 0, crop: "disabled" }),
  };
  const node = prompt(3);
  graphOf([load("me.png"), cut, scale, node], [[1, 1, 0, 2, 0], [2, 2, 0, 3, 0], [3, 3, 0, 9, 0]]);
  const found = findPicture(node, "image");
  assert.deepEqual([found.source, found.before, found.changes.length], [FILE, null, 2]);
  assert.deepEqual(frameAfter(found.changes, [640, 448]), { size: [100, 50], box: [20, 10, 220, 110] });
  scale.widgets[1].value = 50;
  assert.notEqual(findPicture(node, "image").key, found.key);
});

test("a batch, an animation and a video are seen by their first picture", () => {
  const batch = { id: 2, type: "ImageBatch", inputs: [image(1, "image1"), image(null, "image2")], outputs: [{ type: "IMAGE" }] };
  const node = prompt(2);
  graphOf([load("me.png"), batch, node], [[1, 1, 0, 2, 0], [2, 2, 0, 9, 0]]);
  assert.deepEqual(findSource(node, "image"), FILE);

  const video = { id: 1, type: "LoadVideo", widgets: fields({ file: "a.mp4" }), inputs: [], outputs: [{ type: "VIDEO" }] };
  const parts = { id: 2, type: "GetVideoComponents", inputs: [{ name: "video", type: "VIDEO", link: 1 }], outputs: [{ type: "IMAGE" }] };
  const second = prompt(2);
  graphOf([video, parts, second], [[1, 1, 0, 2, 0], [2, 2, 0, 9, 0]]);
  assert.deepEqual(findPicture(second, "image").source, { ...FILE, filename: "a.mp4" });

  const other = { id: 1, type: "VHS_LoadVideo", title: "Frames", inputs: [], outputs: [{ type: "IMAGE" }],
    widgets: fields({ video: "b.mp4", custom_width: 0, custom_height: 0 }) };
  const third = prompt(1);
  graphOf([other, third], [[1, 1, 0, 9, 0]]);
  assert.deepEqual([findPicture(third, "image").source.filename, findPicture(third, "image").before], ["b.mp4", null]);
  other.widgets[1].value = 512;
  assert.equal(findPicture(third, "image").before, "Frames");
});

test("behind a node that nobody knows the picture is the one before it, and that is said", () => {
  const made = { id: 2, type: "FancyFilter", title: "Filter", inputs: [image(1, "pixels")], outputs: [{ type: "IMAGE", links: [2, 3] }], widgets: [] };
  const viewer = { id: 4, type: "PreviewImage", inputs: [image(3, "images")] };
  const node = prompt(2);
  graphOf([load("me.png"), made, viewer, node], [[1, 1, 0, 2, 0], [2, 2, 0, 9, 0], [3, 2, 0, 4, 0]]);
  const found = findPicture(node, "image");
  assert.deepEqual([found.source, found.before, found.changes], [FILE, "Filter", []]);
  const nodeOutputs = { 4: { images: [{ filename: "seen.png", subfolder: "", type: "temp" }] } };
  const seen = findPicture(node, "image", { nodeOutputs });
  assert.deepEqual([seen.source.filename, seen.before, seen.key], ["seen.png", null, found.key]);
});

test("a field that is linked makes a known node one that nobody knows", () => {
  const scale = {
    id: 3, type: "ImageScaleBy", title: "Upscale", outputs: [{ type: "IMAGE" }],
    inputs: [image(1), { name: "scale_by", type: "FLOAT", link: 7 }], widgets: fields({ scale_by: 2 }),
  };
  const node = prompt(2);
  graphOf([load("me.png"), scale, node], [[1, 1, 0, 3, 0], [2, 3, 0, 9, 0], [7, 8, 0, 3, 1]]);
  assert.equal(findPicture(node, "image").before, "Upscale");
});
