// The widget in a stand-in for ComfyUI's page: as much of a node, a graph, the application and the connection to the
// server as it touches. Runs inside the browser; gives what it saw.

import { addPointsEditor } from "/web/points/widget.mjs";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const PERSON = { pose_keypoints_2d: Array.from({ length: 18 }, (_, index) => [250 + 5 * index, 100 + 10 * index, 1]).flat() };

function makePage() {
  const asked = [];
  const answers = { ok: true, said: { people: [PERSON], canvas_width: 640, canvas_height: 448 } };
  const api = {
    apiURL: (route) => { asked.push(route); return "/web/pictures/figura_scene.png"; },
    fetchApi: async (route, options) => {
      asked.push([route, options.method, JSON.parse(options.body)]);
      return { ok: answers.ok, status: 404, json: async () => answers.said };
    },
  };
  const steps = [];
  const changeTracker = { checkState() { steps.push(this === changeTracker); } };
  const app = { nodeOutputs: {}, extensionManager: { workflow: { activeWorkflow: { changeTracker } } } };
  return { api, app, asked, answers, steps };
}

function makeNode() {
  const link = { id: 1, origin_id: 1, origin_slot: 0, target_id: 9, target_slot: 0 };
  const loader = { id: 1, type: "LoadImage", widgets: [{ name: "image", value: "me/figura_scene.png" }], inputs: [], outputs: [{ type: "IMAGE", links: [1] }] };
  const graph = { id: "root", nodes: [loader], links: new Map([[1, link]]), getNodeById: (id) => graph.nodes.find((node) => node.id === id) };
  const reads = { count: 0, text: "" };
  const calls = [];
  const field = {
    name: "points", callback: (value) => calls.push(value),
    get value() { reads.count += 1; return reads.text; },
    set value(text) { reads.text = text; },
  };
  const node = {
    id: 9, type: "FiguraPointPrompt", size: [300, 200],
    widgets: [{ name: "prompt_type", value: "pose" }, field, { name: "person", value: -1 }],
    inputs: [{ name: "image", type: "IMAGE", link: 1 }, { name: "points", type: "STRING", link: null }],
    computeSize() { return [280, 150 + (this.widgets[3]?.options.getMinHeight() ?? 0)]; },
    setSize(size) { this.size = size; },
    addDOMWidget(name, type, element, options) {
      const widget = { name, type, element, options };
      this.widgets.push(widget);
      document.getElementById("place").replaceChildren(element);
      return widget;
    },
  };
  graph.nodes.push(node);
  loader.graph = graph;
  return { node, field, loader, calls, reads };
}

/** Everything, step by step. */
export async function tryWidget() {
  const { api, app, asked, answers, steps } = makePage();
  const { node, field, loader, calls, reads } = makeNode();
  const editor = addPointsEditor(node, app, api);
  const seen = {};
  await wait(600);
  seen.unused = [reads.count, asked.length];
  node.graph = loader.graph;
  node.onAdded();
  const status = () => editor.parts.message.textContent;
  seen.last = node.widgets.map((widget) => widget.name);
  seen.stored = [node.widgets[3].serialize, node.widgets[3].options.serialize];
  seen.hidden = [field.hidden, field.options.hidden];
  seen.size = [node.size[0] >= 360, node.size[1] >= 450];

  reads.text = '{"positive":[[3,4]]}';
  node.size = [300, 200];
  node.onConfigure();
  seen.configured = [editor.text === reads.text, node.size[0] >= 360, node.size[1] >= 450, calls.length];
  await wait(800);
  seen.picture = [asked[0], editor.session.size];

  editor.session.addPerson();
  seen.edited = [field.value === editor.text, calls.at(-1) === editor.text, [...steps]];
  reads.text = "{";
  await wait(800);
  seen.followed = [editor.text, status().startsWith("points: this is not JSON"), reads.text];

  reads.text = "";
  field.callback("");
  asked.length = 0;
  await editor.importDetected();
  seen.imported = [asked[0], Object.keys(JSON.parse(field.value).people[0].joints).length];
  editor.text = '{"width":640,"height":448,"full_box":[9,8,90,80]}';
  await editor.importDetected();
  seen.boxed = asked.at(-1)[2].box;
  Object.assign(answers, { ok: false, said: { error: "there is no picture 'x' in the input folder" } });
  await editor.importDetected();
  await wait(100);
  seen.failed = status();

  loader.widgets[0].value = "other.png [output]";
  asked.length = 0;
  await wait(800);
  seen.changed = asked[0];
  node.inputs[1].link = 1;
  editor.session.say("");
  await wait(800);
  seen.connected = status();
  node.inputs[0].link = null;
  node.onConnectionsChange();
  await wait(100);
  seen.without = [editor.canImport, editor.session.size];

  const next = makeNode();
  const place = document.getElementById("place");
  next.node.addDOMWidget = node.addDOMWidget;
  const second = addPointsEditor(next.node, app, api);
  second.element.remove();
  place.append(editor.element);
  node.onRemoved();
  const empty = place.childElementCount === 0;
  next.node.graph = loader.graph;
  next.node.onAdded();
  await wait(100);
  seen.again = [empty, place.firstElementChild === second.element];
  next.node.onRemoved();
  const count = reads.count;
  await wait(900);
  seen.removed = [reads.count === count, document.getElementById("place").children.length];
  return seen;
}
