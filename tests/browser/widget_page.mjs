// The widget in a stand-in for ComfyUI's page: as much of a node, a graph, the application and the connection to the
// server as it touches. Runs inside the browser; gives what it saw.

import { addPointsEditor } from "/web/points/page/widget.mjs";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
/** Wait for a picture to be shown. */
const shown = async (editor) => {
  for (let time = 0; time < 200 && editor.session.size.join() !== "640,448"; time += 1) await wait(50);
};
const PERSON = { pose_keypoints_2d: Array.from({ length: 18 }, (_, index) => [250 + 5 * index, 100 + 10 * index, 1]).flat() };

function makePage() {
  const asked = [];
  const answers = { ok: true, said: { people: [PERSON], canvas_width: 640, canvas_height: 448 } };
  const api = {
    fetchApi: async (route, options) => {
      if (options.method !== "POST") return (asked.push(route), fetch("/tests/browser/picture.png"));
      asked.push([route, options.method, JSON.parse(options.body)]);
      return { ok: answers.ok, status: 404, json: async () => answers.said };
    },
  };
  const steps = [];
  const changeTracker = { checkState() { steps.push(this === changeTracker); } };
  const app = { nodeOutputs: {}, extensionManager: { workflow: { activeWorkflow: { changeTracker } } } };
  return { api, app, asked, answers, steps };
}

/** What the node hands the page when it ran with two people. */
function makeOutput() {
  const far = { pose_keypoints_2d: PERSON.pose_keypoints_2d.map((value, index) => (index % 3 === 0 ? 40 : value)) };
  return { figura_poses: [[{ people: [PERSON, far], canvas_width: 640, canvas_height: 448, box: null, person: -1 }]] };
}

function makeNode() {
  const link = { id: 1, origin_id: 1, origin_slot: 0, target_id: 9, target_slot: 0 };
  const loader = { id: 1, type: "LoadImage", widgets: [{ name: "image", value: "me/figura_scene.png" }], inputs: [], outputs: [{ type: "IMAGE", links: [1] }] };
  const pose = { id: 2, origin_id: 2, origin_slot: 0, target_id: 9, target_slot: 2 };
  const detector = { id: 2, type: "FiguraDetectPose", inputs: [], outputs: [{ type: "POSE_KEYPOINT", links: [2] }] };
  const graph = { id: "root", nodes: [loader, detector], links: new Map([[1, link], [2, pose]]), getNodeById: (id) => graph.nodes.find((node) => node.id === id) };
  const calls = [];
  const node = {
    id: 9, type: "FiguraPointPrompt", size: [300, 200],
    widgets: [{ name: "prompt_type", value: "pose" }, { name: "points", type: "customtext", value: "" }, { name: "person", value: -1 }],
    inputs: [{ name: "image", type: "IMAGE", link: 1 }, { name: "points", type: "STRING", link: null },
      { name: "pose_keypoint", type: "POSE_KEYPOINT", link: null }],
    computeSize() { return [280, 150 + (this.widgets[1].options?.getMinHeight() ?? 0)]; },
    setSize(size) { this.size = size; },
    addDOMWidget(name, type, element, options) {
      const widget = {
        name, type, element, options, callback: (value) => calls.push(value),
        get value() { return options.getValue(); },
        set value(text) { options.setValue(text); },
      };
      this.widgets.push(widget);
      document.getElementById("place").replaceChildren(element);
      return widget;
    },
  };
  graph.nodes.push(node);
  loader.graph = detector.graph = graph;
  return { node, loader, calls, field: () => node.widgets[1] };
}

/** What is shown of a pose that came in, as the graph and the node change. */
async function tryPose(app, api) {
  const { node, field, loader } = makeNode();
  node.graph = loader.graph;
  const editor = addPointsEditor(node, app, api);
  await wait(20);
  node.onConnectionsChange();
  await shown(editor);
  const ghost = () => editor.session.ghosts.person.joints.nose?.x ?? null;
  const looked = async () => { node.onConnectionsChange(); await wait(20); return ghost(); };
  const seen = [];
  node.onExecuted(makeOutput());
  seen.push(["unconnected", ghost()]);
  node.inputs[2].link = 2;
  await looked();
  node.onExecuted(makeOutput());
  seen.push(["connected", ghost()]);
  node.onExecuted(null);
  seen.push(["cached", ghost()]);
  node.widgets[2].value = 1;
  seen.push(["the second person", await looked()]);
  node.widgets[2].value = -1;
  node.inputs[2].link = null;
  seen.push(["disconnected", await looked()]);
  node.inputs[2].link = 2;
  loader.widgets[0].value = "other.png";
  seen.push(["another picture", await looked()]);
  loader.widgets[0].value = "me/figura_scene.png";
  seen.push(["the picture again", await looked()]);

  const remade = { ...makeNode().node, graph: loader.graph };
  remade.inputs[2].link = 2;
  node.onRemoved();
  seen.push(["made anew by undo", addPointsEditor(remade, app, api).session.ghosts.person.joints.nose?.x ?? null]);
  remade.onConnectionsChange();
  await shown(remade.widgets[1].element.editor);
  seen.push(["and looked at", remade.widgets[1].element.editor.session.ghosts.person.joints.nose?.x ?? null]);

  remade.widgets[1].beforeQueued();
  await wait(0);
  loader.widgets[0].value = "next.png";
  remade.onExecuted(makeOutput());
  seen.push(["the next picture is on already", remade.widgets[1].element.editor.session.hasGhosts]);
  remade.onExecuted({ figura_poses: [] });
  loader.widgets[0].value = "me/figura_scene.png";
  remade.onConnectionsChange();
  await wait(20);
  seen.push(["nothing came in", remade.widgets[1].element.editor.session.hasGhosts]);
  remade.onRemoved();
  return { seen, field: field().value };
}

/** Everything, step by step. */
export async function tryWidget() {
  const { api, app, asked, answers, steps } = makePage();
  const { node, field, loader, calls } = makeNode();
  const editor = addPointsEditor(node, app, api);
  const seen = {};
  await wait(600);
  seen.unused = [calls.length, asked.length];
  node.graph = loader.graph;
  node.onAdded();
  const status = () => editor.parts.message.textContent;
  seen.last = node.widgets.map((widget) => widget.name);
  seen.panel = field().options.hideInPanel;
  seen.size = [node.size[0] >= 360, node.size[1] >= 450];

  const saved = '{"positive":[[3,4]]}';
  field().value = saved;
  node.size = [300, 200];
  node.onConfigure();
  seen.configured = [editor.text === saved && field().value === saved, node.size[0] >= 360, node.size[1] >= 450, calls.length];
  await shown(editor);
  seen.picture = [asked[0], editor.session.size];

  editor.session.addPerson();
  seen.edited = [field().value === editor.text, calls.at(-1) === editor.text, [...steps]];
  field().value = "{";
  await wait(800);
  seen.followed = [editor.text, status().startsWith("points: this is not JSON"), field().value];

  field().value = "";
  asked.length = 0;
  await editor.importJoints();
  seen.imported = [asked[0], Object.keys(JSON.parse(field().value).people[0].joints).length];
  editor.text = '{"width":640,"height":448,"full_box":[9,8,90,80]}';
  await editor.importJoints();
  seen.boxed = asked.at(-1)[2].box;
  Object.assign(answers, { ok: false, said: { error: "there is no picture 'x' in the input folder" } });
  await editor.importJoints();
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
  const count = asked.length;
  next.loader.widgets[0].value = "later.png";
  await wait(900);
  seen.removed = [asked.length === count, document.getElementById("place").children.length];
  seen.pose = await tryPose(app, api);
  return seen;
}
