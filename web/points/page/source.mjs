// Which picture is connected to an input of a node, found by following the links of the graph on the page, before
// anything was queued.
//
// A source: {kind: "file", filename, subfolder, type} names a picture or a video the server has; {kind: "example", seed,
// size, occlusion, slot} a picture that it can draw.

import { changeOf } from "./changes.mjs";
import { inputLink, linkOf, MOST_HOPS, originOf, slotOf, widgetValue } from "./links.mjs";

// The field that names the file, and the folder it lies in.
const LOADERS = {
  LoadImage: ["image", "input"], LoadImageMask: ["image", "input"], LoadImageOutput: ["image", "output"],
  LoadVideo: ["file", "input"], VHS_LoadVideo: ["video", "input"], VHS_LoadVideoFFmpeg: ["video", "input"],
};
const VIEWERS = ["PreviewImage", "SaveImage"];
const EXAMPLE = "FiguraExamplePerson";

/**
 * The picture at an input.
 * @param {object} node a node of the page's graph
 * @param {string} inputName
 * @param {{rootGraph?: object, nodeOutputs?: object}} page rootGraph: the outermost graph; nodeOutputs: node id -> what
 * its last run showed
 * @returns {{source: object|null, changes: function[], before: string|null, key: string|null, output: *}} source: null
 * when no picture is known; changes: what nodes on the way do to its shape (see changes.mjs), the first one first; before:
 * the title of the nearest node of which nobody knows what it does to the picture, or null; key: tells what comes in from
 * what else might, as far as the page knows (what a run showed is no part of it), null when nothing is connected; output:
 * what the page shows in the node that names the picture, another object each time that its field is set, be it as before
 */
export function findPicture(node, inputName, page = {}) {
  const slot = slotOf(node, inputName);
  const link = slot === -1 ? null : inputLink(node, slot);
  if (!link) return { source: null, changes: [], before: null, key: null, output: null };
  const way = { trail: [], changes: [], before: null, shown: null, named: null, output: null };
  follow(way, originOf(node, slot, page), page);
  const { trail, changes, before, shown: last, named: source, output } = way;
  const key = JSON.stringify(trail.length > 0 ? trail : [link.origin_id, link.origin_slot]);
  if (last && (before || !source)) return { ...last, key, output: null };
  return { source, changes: source ? changes : [], before: source && before, key, output };
}

/** Go from where the picture is made to the node that names it, as far as the page knows the way. */
function follow(way, origin, page) {
  for (let hop = 0; hop < MOST_HOPS && origin; hop += 1) {
    const { node, slot } = origin;
    const { changes, before } = way;
    const change = changeOf(node);
    way.named = named(node, slot);
    way.trail.push(node.graph?.id, node.id, slot, way.named ?? change?.fields ?? null);
    if (way.named && isResized(node)) way.before ??= titleOf(node);
    if (way.named) way.output = outputOf(node, page);
    if (way.named) return;
    const source = way.shown ? null : pictureOf(node, slot, page);
    if (source) way.shown = { source, changes, before };
    if (!change) return;
    if (change.change) way.changes = [change.change, ...changes];
    else way.before ??= titleOf(node);
    origin = originOf(node, slotOf(node, change.input), page);
  }
}

function titleOf(node) {
  return node.title || node.type;
}

/** Video loaders may give their frames another size than the file has. */
function isResized(node) {
  return ["custom_width", "custom_height"].some((name) => widgetValue(node, name) > 0);
}

/** The picture that the fields of a node name, or null. */
function named(node, slot) {
  if (Object.hasOwn(LOADERS, node.type)) return chosenFile(node, ...LOADERS[node.type]);
  return node.type === EXAMPLE ? example(node, slot) : null;
}

/** What the last run of a node showed, or a preview of the same output. */
function pictureOf(node, slot, page) {
  return Object.hasOwn(LOADERS, node.type) ? null : shown(node, page) ?? pictureBeside(node, slot, page);
}

function pictureBeside(node, slot, page) {
  for (const id of node.outputs?.[slot]?.links ?? []) {
    const target = node.graph?.getNodeById?.(linkOf(node.graph, id)?.target_id);
    const found = target && VIEWERS.includes(target.type) ? shown(target, page) : null;
    if (found) return found;
  }
  return null;
}

function chosenFile(node, field, folder) {
  const value = widgetValue(node, field);
  return typeof value === "string" ? readFileName(value, folder) : null;
}

/** A name as the page writes it: "folder/picture.png [output]". */
export function readFileName(value, type = "input") {
  const [, path, annotation] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(value);
  const cut = path.lastIndexOf("/");
  const filename = path.slice(cut + 1);
  return filename ? { kind: "file", filename, subfolder: path.slice(0, Math.max(cut, 0)), type: annotation ?? type } : null;
}

function example(node, slot) {
  const [seed, size, occlusion] = ["seed", "size", "occlusion"].map((name) => widgetValue(node, name));
  if (![seed, size, occlusion].every(Number.isFinite)) return null;
  return { kind: "example", seed, size, occlusion, slot };
}

/** The first picture that a node's last run showed. */
function shown(node, page) {
  return shownEntry(outputOf(node, page)?.images?.[0]) ?? shownFile(node.imgs?.[0]?.src);
}

function outputOf(node, { nodeOutputs = {} }) {
  return nodeOutputs[`${node.graph?.id}:${node.id}`] ?? nodeOutputs[String(node.id)] ?? null;
}

/** The source that an entry of what a run showed names, or null. */
export function shownEntry(entry) {
  if (typeof entry?.filename !== "string") return null;
  return { kind: "file", filename: entry.filename, subfolder: entry.subfolder ?? "", type: entry.type ?? "output" };
}

function shownFile(address) {
  if (typeof address !== "string" || !URL.canParse(address, "http://page")) return null;
  const { searchParams } = new URL(address, "http://page");
  const [filename, subfolder, type] = ["filename", "subfolder", "type"].map((name) => searchParams.get(name));
  return filename ? shownEntry({ filename, subfolder: subfolder ?? "", type: type ?? "output" }) : null;
}

/** The route that serves a source's picture, in a format that every page can show and at the size that a node gets. */
export function pictureRoute(source) {
  const { kind, ...rest } = source;
  const query = new URLSearchParams(Object.entries(rest).map(([key, value]) => [key, String(value)]));
  return `/figura/${kind === "example" ? "example_person" : "picture"}?${query}`;
}
