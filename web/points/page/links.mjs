// The links of the graph on the page. The graph is read only through a few fields, so that a test can stand in for it.

const SUBGRAPH_INPUT = "-10";
const SUBGRAPH_OUTPUT = "-20";
const BYPASSED = 4;
const MUTED = 2;
export const MOST_HOPS = 64;
const REROUTES = ["Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"];
// Nodes of widely used packs that pass a value on by a name instead of a link: the getter's type -> the setter's.
const BY_NAME = { GetNode: "SetNode", "easy getNode": "easy setNode" };
// These take the first of their inputs that has something to give.
const SWITCHES = ["Any Switch (rgthree)"];

/** Whether something is connected to an input. */
export function isConnected(node, inputName) {
  const slot = slotOf(node, inputName);
  return slot !== -1 && Boolean(inputLink(node, slot));
}

/** The number of an input, or -1. */
export function slotOf(node, inputName) {
  return (node.inputs ?? []).findIndex((input) => input.name === inputName);
}

/** The value of a field of a node; undefined when something is connected to it. */
export function widgetValue(node, name) {
  return isConnected(node, name) ? undefined : node.widgets?.find((widget) => widget.name === name)?.value;
}

/** The node and output slot at which an input's value is made: through reroutes, names, bypassed nodes and subgraphs. */
export function originOf(node, slot, page) {
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
  if (node.mode === BYPASSED) return passedOn(node, output);
  if (REROUTES.includes(node.type)) return { node, input: 0 };
  if (SWITCHES.includes(node.type)) return switched(node);
  if (Object.hasOwn(BY_NAME, node.type)) return named(node);
  if (!node.subgraph) return { node, output };
  const link = linksOf(node.subgraph)
    .find((one) => String(one.target_id) === SUBGRAPH_OUTPUT && Number(one.target_slot) === output);
  if (!link) return null;
  if (String(link.origin_id) === SUBGRAPH_INPUT) return { node, input: Number(link.origin_slot) };
  return maker(node.subgraph.getNodeById?.(link.origin_id), Number(link.origin_slot), hops + 1);
}

/** A bypassed node gives on the input of the same number, if it is of the output's type, or the first of that type. */
function passedOn(node, output) {
  const type = node.outputs?.[output]?.type;
  const inputs = node.inputs ?? [];
  const input = inputs[output]?.type === type ? output : inputs.findIndex((one) => one.type === type);
  return input === -1 ? null : { node, input };
}

function switched(node) {
  const input = (node.inputs ?? []).findIndex((_, index) => {
    const link = inputLink(node, index);
    return link && ![MUTED, BYPASSED].includes(node.graph?.getNodeById?.(link.origin_id)?.mode);
  });
  return input === -1 ? null : { node, input };
}

function named(getter) {
  const name = getter.widgets?.[0]?.value;
  const setter = nodesOf(getter.graph).find((node) => node.type === BY_NAME[getter.type] && node.widgets?.[0]?.value === name);
  return setter && name ? { node: setter, input: 0 } : null;
}

/** The link at an input: {id, origin_id, origin_slot}, or null. */
export function inputLink(node, slot) {
  // A node that holds a subgraph answers this question about the links inside of it.
  if (!node.subgraph && typeof node.getInputLink === "function") return node.getInputLink(slot);
  const id = node.inputs?.[slot]?.link;
  return id === null || id === undefined ? null : linkOf(node.graph, id);
}

/** The link of that number. */
export function linkOf(graph, id) {
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
