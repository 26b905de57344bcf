// Which picture is connected to an input of a node, found by following the links of the graph on the page, before
// anything was queued. The graph is read only through a few fields, so that a test can stand in for it.
//
// A source: {kind: "file", filename, subfolder, type} names a picture the server has (see its route /view);
// {kind: "example", seed, size, occlusion, slot} one that it can draw.

const SUBGRAPH_INPUT = "-10";
const SUBGRAPH_OUTPUT = "-20";
const BYPASSED = 4;
const MUTED = 2;
const MOST_HOPS = 64;
const LOADERS = ["LoadImage", "LoadImageMask", "LoadImageOutput"];
const VIEWERS = ["PreviewImage", "SaveImage"];
const EXAMPLE = "FiguraExamplePerson";

/**
 * The source of the picture at an input, or null.
 * @param {object} node a node of the page's graph
 * @param {string} inputName
 * @param {{rootGraph?: object, nodeOutputs?: object}} page rootGraph: the outermost graph; nodeOutputs: node id -> what
 * its last run showed
 */
export function findSource(node, inputName, page = {}) {
  const slot = (node.inputs ?? []).findIndex((input) => input.name === inputName);
  const origin = slot === -1 ? null : originOf(node, slot, page);
  return origin && (pictureOf(origin.node, origin.slot, page) ?? pictureBeside(origin.node, origin.slot, page));
}

/** Whether something is connected to an input. */
export function isConnected(node, inputName) {
  const slot = (node.inputs ?? []).findIndex((input) => input.name === inputName);
  return slot !== -1 && Boolean(inputLink(node, slot));
}

/** The node and output slot that an input's value is made at: through reroutes, bypassed nodes and subgraphs. */
function originOf(node, slot, page) {
  for (let hop = 0; hop < MOST_HOPS && node; hop += 1) {
    const link = inputLink(node, slot);
    if (!link) return null;
    const found = String(link.origin_id) === SUBGRAPH_INPUT
      ? { node: parentOf(node.graph, page.rootGraph), input: Number(link.origin_slot) }
      : maker(node.graph?.getNodeById?.(link.origin_id), Number(link.origin_slot));
    if (!found || found.output !== undefined) return found && { node: found.node, slot: found.output };
    [node, slot] = [found.node, found.input];
  }
  return null;
}

/** {node, output} when the node makes the value itself, {node, input} when it only passes it on, or null. */
function maker(node, output, hops = 0) {
  if (!node || node.mode === MUTED || hops > MOST_HOPS) return null;
  if (node.mode === BYPASSED) return passedOn(node, node.outputs?.[output]?.type);
  if (node.type === "Reroute") return { node, input: 0 };
  if (!node.subgraph) return { node, output };
  const link = linksOf(node.subgraph)
    .find((one) => String(one.target_id) === SUBGRAPH_OUTPUT && Number(one.target_slot) === output);
  if (!link) return null;
  if (String(link.origin_id) === SUBGRAPH_INPUT) return { node, input: Number(link.origin_slot) };
  return maker(node.subgraph.getNodeById?.(link.origin_id), Number(link.origin_slot), hops + 1);
}

function passedOn(node, type) {
  const input = (node.inputs ?? []).findIndex((one) => one.type === type);
  return input === -1 ? null : { node, input };
}

function inputLink(node, slot) {
  if (typeof node.getInputLink === "function") return node.getInputLink(slot);
  const id = node.inputs?.[slot]?.link;
  return id === null || id === undefined ? null : linkOf(node.graph, id);
}

function linkOf(graph, id) {
  return graph?.getLink?.(id) ?? graph?.links?.get?.(id) ?? graph?.links?.[id] ?? null;
}

function linksOf(graph) {
  const links = graph.links ?? [];
  return [...(typeof links.values === "function" ? links.values() : Object.values(links))].filter(Boolean);
}

function nodesOf(graph) {
  return graph?.nodes ?? graph?._nodes ?? [];
}

/** The node that holds a subgraph, anywhere under a graph. */
function parentOf(subgraph, graph, depth = 0) {
  if (!subgraph || depth > MOST_HOPS) return null;
  for (const node of nodesOf(graph)) {
    if (node.subgraph === subgraph) return node;
    const inner = node.subgraph && parentOf(subgraph, node.subgraph, depth + 1);
    if (inner) return inner;
  }
  return null;
}

/**
 * What tells the value of an input from another one, as far as the page knows: which output it comes from, and the
 * picture that the fields there name. What a run showed is no part of it. null when nothing is connected.
 */
export function identityOf(node, inputName, page = {}) {
  const slot = (node.inputs ?? []).findIndex((input) => input.name === inputName);
  const link = slot === -1 ? null : inputLink(node, slot);
  if (!link) return null;
  const origin = originOf(node, slot, page);
  return JSON.stringify(origin ? [origin.node.graph?.id, origin.node.id, origin.slot, named(origin.node, origin.slot)]
    : [link.origin_id, link.origin_slot]);
}

function pictureOf(node, slot, page) {
  return named(node, slot) ?? (LOADERS.includes(node.type) ? null : shown(node, page));
}

/** The picture that the fields of a node name, or null. */
function named(node, slot) {
  if (LOADERS.includes(node.type)) return chosenFile(node);
  return node.type === EXAMPLE ? example(node, slot) : null;
}

/** What a preview of the same output showed. */
function pictureBeside(node, slot, page) {
  for (const id of node.outputs?.[slot]?.links ?? []) {
    const target = node.graph?.getNodeById?.(linkOf(node.graph, id)?.target_id);
    const found = target && VIEWERS.includes(target.type) ? shown(target, page) : null;
    if (found) return found;
  }
  return null;
}

/** The value of a field of a node; undefined when something is connected to it. */
export function widgetValue(node, name) {
  return isConnected(node, name) ? undefined : node.widgets?.find((widget) => widget.name === name)?.value;
}

function chosenFile(node) {
  const value = widgetValue(node, "image");
  return typeof value === "string" ? readFileName(value, node.type === "LoadImageOutput" ? "output" : "input") : null;
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
  const outputs = page.nodeOutputs ?? {};
  const entry = (outputs[`${node.graph?.id}:${node.id}`] ?? outputs[String(node.id)])?.images?.[0];
  if (typeof entry?.filename === "string") {
    return { kind: "file", filename: entry.filename, subfolder: entry.subfolder ?? "", type: entry.type ?? "output" };
  }
  return shownFile(node.imgs?.[0]?.src);
}

function shownFile(address) {
  if (typeof address !== "string" || !URL.canParse(address, "http://page")) return null;
  const { searchParams } = new URL(address, "http://page");
  const filename = searchParams.get("filename");
  if (!filename) return null;
  return { kind: "file", filename, subfolder: searchParams.get("subfolder") ?? "", type: searchParams.get("type") ?? "output" };
}

/** The route that serves a source's picture. */
export function pictureRoute(source) {
  const { kind, ...rest } = source;
  const query = new URLSearchParams(Object.entries(rest).map(([key, value]) => [key, String(value)]));
  return `${kind === "example" ? "/figura/example_person" : "/view"}?${query}`;
}
