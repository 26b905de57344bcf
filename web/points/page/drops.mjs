// A picture that was dropped on the editor: it is uploaded, and the connected loader takes it.

import { say } from "../words/words.mjs";
import { inputLink, originOf, slotOf } from "./links.mjs";

const LOADER = "LoadImage";
const FIELD = "image";
const LEFT_PX = 340;
const TOO_HEAVY = 413;

/** Upload a picture file and let the loader at `image` show it; a node without a picture gets a loader. */
export async function takePicture(node, file, { app, api, page }) {
  const loader = loaderOf(node, page);
  if (!loader && inputLink(node, slotOf(node, FIELD))) throw new Error(say("say.noLoader"));
  const name = await upload(file, api);
  const target = loader ?? addLoader(node, app);
  const widget = target.widgets.find((one) => one.name === FIELD);
  if (Array.isArray(widget.options?.values) && !widget.options.values.includes(name)) widget.options.values.push(name);
  widget.value = name;
  widget.callback?.(name);
}

/** The loader whose picture comes in as it is. */
function loaderOf(node, page) {
  const origin = originOf(node, slotOf(node, FIELD), page);
  return origin?.node.type === LOADER ? origin.node : null;
}

function addLoader(node, app) {
  const loader = globalThis.LiteGraph.createNode(LOADER);
  loader.pos = [node.pos[0] - LEFT_PX, node.pos[1]];
  (node.graph ?? app.graph).add(loader);
  loader.connect(0, node, slotOf(node, FIELD));
  return loader;
}

async function upload(file, api) {
  const form = new FormData();
  form.append("image", file, file.name || "pasted.png");
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!answer.ok) throw new Error(reasonFor(file, answer));
  const { name, subfolder } = await answer.json();
  return subfolder ? `${subfolder}/${name}` : name;
}

function reasonFor({ name, size }, { status, statusText }) {
  if (status === TOO_HEAVY) return say("say.tooHeavy", { name, size: Math.ceil(size / 1e6) });
  return say("say.notUploaded", { name, reason: `${status} ${statusText}`.trim() });
}
