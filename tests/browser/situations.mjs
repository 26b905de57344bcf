// The point editor in a real ComfyUI among other nodes: where its picture comes from, what the page does around it, what
// is pasted and dropped.
//
// node situations.mjs '{"url": ..., "shots": "folder or null", "name": "canvas", "settings": {...}, "files": {"tiff": ...,
//                       "turned": ..., "video": ..., "pose": "text of a pose"}}'
// files are names in ComfyUI's input folder. Prints one JSON object of what was seen, by step.

import path from "node:path";
import { driver } from "./driver.mjs";
import { openPage } from "./page.mjs";

const job = JSON.parse(process.argv[2]);
const { page, problems, close } = await openPage(job.url, job.settings ?? {});
const { text, value, part, frame, at, drag, action, tool, status, scale, canvas } = driver(page);
const seen = { problems };
const isVue = job.settings?.["Comfy.VueNodes.Enabled"] === true;

async function shot(what) {
  if (job.shots) await page.screenshot({ path: path.join(job.shots, `${job.name}-${what}.png`) });
}

/** A graph of nodes {name: [type, {field: value}, x, y]} and links [from, slot, to, input]; gives the editor its page. */
async function build(nodes, links) {
  await page.evaluate(([wanted, joined]) => {
    const { app, LiteGraph } = window;
    app.clean?.();
    app.graph.clear();
    window.made = {};
    for (const [name, [type, fields = {}, x = 0, y = 0]] of Object.entries(wanted)) {
      const node = LiteGraph.createNode(type);
      node.pos = [x, y];
      app.graph.add(node);
      for (const [field, given] of Object.entries(fields)) {
        const widget = node.widgets.find((one) => one.name === field);
        widget.value = given;
        widget.callback?.(given);
      }
      window.made[name] = node;
    }
    for (const [from, slot, to, input] of joined) {
      const node = window.made[to];
      window.made[from].connect(slot, node, node.inputs.findIndex((one) => one.name === input));
    }
    const { ds } = app.canvas;
    ds.scale = 1;
    ds.offset[0] = 700 - window.made.prompt.pos[0];
    ds.offset[1] = 140 - window.made.prompt.pos[1];
    app.canvas.setDirty(true, true);
  }, [nodes, links]);
  await takeEditor();
}

async function takeEditor() {
  await page.waitForFunction(() => {
    window.editor = window.made?.prompt?.widgets.find((widget) => widget.name === "points")?.element?.editor;
    return window.editor?.element.isConnected;
  });
  await page.waitForTimeout(900);
}

const size = () => page.evaluate(() => [...window.editor.session.size, window.editor.canImport]);
const load = (name) => ["LoadImage", { image: name }, -400, 0];
const PROMPT = ["FiguraPointPrompt", {}, 0, 0];
const setField = async (name, field, given) => {
  await page.evaluate(([node, key, to]) => {
    const widget = window.made[node].widgets.find((one) => one.name === key);
    widget.value = to;
    widget.callback?.(to);
  }, [name, field, given]);
  await page.waitForTimeout(1200);
};

/** Sizes of the shown picture, and whether it is there, behind what people put between. */
async function pictures() {
  const scaled = ["ImageScale", { width: 256, height: 128, crop: "center" }, -200, 300];
  await build({ load: load("figura_scene.png"), scale: scaled, prompt: PROMPT },
    [["load", 0, "scale", "image"], ["scale", 0, "prompt", "image"]]);
  const found = { behindScale: await size() };
  seen.strays = await page.evaluate(() => [...document.querySelectorAll("textarea")].filter((one) => one.checkVisibility()).length);
  await page.evaluate(() => { window.made.scale.mode = 4; });
  await page.waitForTimeout(1200);
  found.bypassed = await size();
  await build({ load: load(job.files.tiff), batch: ["RepeatImageBatch", { amount: 3 }, -200, 300], prompt: PROMPT },
    [["load", 0, "batch", "image"], ["batch", 0, "prompt", "image"]]);
  found.deepTiffInBatch = await size();
  await setField("load", "image", job.files.turned);
  found.turned = await size();
  if (job.files.video) {
    await build({ load: ["LoadVideo", { file: job.files.video }, -400, 0], parts: ["GetVideoComponents", {}, -200, 300], prompt: PROMPT },
      [["load", 0, "parts", "video"], ["parts", 0, "prompt", "image"]]);
    found.video = await size();
  }
  return found;
}

/** Inside a subgraph the picture comes from outside. */
async function subgraph() {
  await build({ load: load("figura_scene.png"), prompt: PROMPT }, [["load", 0, "prompt", "image"]]);
  await page.evaluate(() => { window.holder = window.app.graph.convertToSubgraph(new Set([window.made.prompt])); });
  await page.waitForTimeout(1500);
  await page.evaluate(() => {
    const { subgraph: inner, node } = window.holder;
    window.app.canvas.openSubgraph(inner, node);
    window.made.prompt = inner.nodes.find((one) => one.type === "FiguraPointPrompt");
  });
  await page.waitForTimeout(1500);
  await takeEditor();
  const inside = await size();
  await shot("subgraph");
  return inside;
}

/** A picture that only a run makes comes with it. */
async function run() {
  const points = JSON.stringify({ people: [{ joints: { nose: { x: 20, y: 30 } } }] });
  await build({ empty: ["EmptyImage", { width: 320, height: 200, color: Date.now() % 0xffffff }, -400, 0], prompt: ["FiguraPointPrompt", { points }],
    view: ["PreviewImage", {}, 700, 0] }, [["empty", 0, "prompt", "image"], ["prompt", 0, "view", "images"]]);
  const before = [await status(), await page.evaluate(() => window.editor.canImport)];
  const ended = await page.evaluate(() => new Promise((done) => {
    const api = window.app.api ?? window.comfyAPI.api.api;
    for (const name of ["execution_success", "execution_error"]) api.addEventListener(name, () => done(name), { once: true });
    window.app.queuePrompt(0, 1);
  }));
  await page.waitForFunction(() => window.editor.canImport, null, { timeout: 15000 }).catch(() => {});
  return { before, ended, after: await size() };
}

/** Points of a picture of another shape: said, and put in without being stretched. */
async function shape() {
  const points = JSON.stringify({ width: 640, height: 320, people: [{ joints: { nose: { x: 320, y: 100 }, neck: { x: 320, y: 160 } } }] });
  await build({ load: load("figura_scene.png"), prompt: ["FiguraPointPrompt", { points }] }, [["load", 0, "prompt", "image"]]);
  const said = await part(".notice").textContent();
  await shot("shape");
  const stretched = await page.evaluate(() => window.editor.session.doc.people[0].joints.neck.y - window.editor.session.doc.people[0].joints.nose.y);
  await action("keepShape").click();
  const { width, people: [{ joints }] } = await value();
  return { said, stretched, kept: [width, joints.nose, joints.neck], gone: !(await part(".notice").isVisible()) };
}

/** The properties panel beside the graph; null where the front end has none. */
async function panel() {
  const hasPanel = await page.evaluate(() => Object.hasOwn(window.app.ui.settings.settingsLookup, "Comfy.RightSidePanel.IsOpen"));
  await build({ load: load("figura_scene.png"), prompt: PROMPT }, [["load", 0, "prompt", "image"]]);
  if (!hasPanel) return null;
  const measure = () => page.evaluate(() => {
    const { width, height } = window.editor.element.getBoundingClientRect();
    return { width, height, isHome: Boolean(window.editor.element.closest(".dom-widget, [data-node-id], .lg-node")) };
  });
  const open = async (isOpen) => {
    await page.evaluate((given) => window.app.extensionManager.setting.set("Comfy.RightSidePanel.IsOpen", given), isOpen);
    await page.waitForTimeout(1200);
  };
  const before = await measure();
  await page.evaluate(() => window.app.canvas.selectNode?.(window.made.prompt));
  await open(true);
  await shot("panel");
  const during = await measure();
  await open(false);
  return { before, during, after: await measure() };
}

/** A long line in the status, while a joint is dragged. */
async function longStatus() {
  const points = JSON.stringify({ width: 512, height: 512, people: [{ joints: { nose: { x: 100, y: 100 } } }] });
  await setField("prompt", "points", points);
  const height = () => page.evaluate(() => window.editor.parts.picture.clientHeight);
  const before = await height();
  await page.evaluate(() => window.editor.session.say("word ".repeat(60)));
  await frame();
  const during = await height();
  await shot("long");
  await drag([100, 100], [140, 120]);
  const { x, y } = (await value()).people[0].joints.nose;
  return { same: before === during, moved: [x, y] };
}

/** Two fingers on the editor, and where the graph is then. */
async function pinch() {
  const graph = () => page.evaluate(() => [window.app.canvas.ds.scale, ...window.app.canvas.ds.offset]);
  const client = await page.context().newCDPSession(page);
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
  const touch = (type, ...points) => client.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  // For fingers the buttons get larger, and the picture has less room.
  await page.waitForTimeout(600);
  const [before, whole] = [await graph(), await scale()];
  const [x, y] = await at(250, 250);
  await touch("touchStart", [x - 20, y]);
  await touch("touchStart", [x - 20, y], [x + 20, y]);
  for (const away of [30, 40, 50]) await touch("touchMove", [x - away, y], [x + away, y]);
  await touch("touchEnd");
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: false });
  await frame();
  const after = await graph();
  return { graph: after.every((number, index) => Math.abs(number - before[index]) < 1e-6), zoomed: (await scale()) / whole };
}

/** The page's undo, and what the editor's own can do after it. */
async function history() {
  await page.evaluate(() => window.editor.fit());
  await tool("positive").click();
  for (const place of [[60, 60], [90, 90], [120, 120]]) await page.mouse.click(...(await at(...place)));
  await tool("select").click();
  await page.waitForTimeout(600);
  const last = await text();
  await page.evaluate(() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undo());
  await page.waitForTimeout(1500);
  await page.evaluate(() => { window.made.prompt = window.app.graph.nodes.find((node) => node.type === "FiguraPointPrompt"); });
  await takeEditor();
  const undone = (await value()).positive.length;
  const canUndo = await action("undo").isEnabled();
  await action("redo").click();
  return { undone, canUndo, redone: (await text()) === last };
}

/** A text connected to the field `points`. */
async function connected() {
  await build({ load: load("figura_scene.png"), words: ["PrimitiveStringMultiline", { value: "{}" }, -400, 420], prompt: PROMPT },
    [["load", 0, "prompt", "image"]]);
  const targets = await page.evaluate(() => {
    const node = window.made.prompt;
    const slot = node.inputs.findIndex((input) => input.name === "points");
    const rect = window.editor.element.getBoundingClientRect();
    const { ds, canvas: element } = window.app.canvas;
    const [x, y] = node.getInputPos(slot);
    const page_y = (y + ds.offset[1]) * ds.scale + element.getBoundingClientRect().top;
    const dots = [...document.querySelectorAll("[data-slot-key]")].map((dot) => dot.dataset.slotKey);
    return { slot, x: x - node.pos[0], isBeside: page_y >= rect.top - 30 && page_y <= rect.bottom, dots: dots.filter((key) => key.startsWith(`${node.id}-`)) };
  });
  const linked = await page.evaluate(async () => {
    const { words, prompt } = window.made;
    words.connect(0, prompt, prompt.inputs.findIndex((input) => input.name === "points"));
    const { output } = await window.app.graphToPrompt();
    return output[String(prompt.id)].inputs.points;
  });
  await page.waitForTimeout(1500);
  await shot("connected");
  // Nodes 2.0 shows the name of a connected field instead of the field.
  const said = isVue ? null : await status();
  await page.evaluate((slot) => window.made.prompt.disconnectInput(slot), targets.slot);
  await takeEditor();
  return { ...targets, linked, said, again: await size() };
}

/** What the kind of prompt lacks, and does not show. */
async function kinds() {
  const points = JSON.stringify({ width: 512, height: 512, full_box: [10, 10, 200, 300], people: [{ joints: { nose: { x: 90, y: 90 } } }] });
  await build({ load: load("figura_scene.png"), prompt: ["FiguraPointPrompt", { prompt_type: "pose_roi_box", points }] },
    [["load", 0, "prompt", "image"]]);
  const lacking = [await status(), await tool("roi_box").getAttribute("data-need"), await tool("full_box").getAttribute("data-need")];
  await shot("kinds");
  await setField("prompt", "prompt_type", "full_box");
  return { lacking, unused: await status() };
}

/** A pose pasted with the keyboard, a pose and a picture dropped. */
async function transfers() {
  await build({ load: load("figura_scene.png"), prompt: PROMPT }, [["load", 0, "prompt", "image"]]);
  const count = () => page.evaluate(() => window.app.graph.nodes.length);
  const nodes = await count();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: job.url });
  await page.evaluate((given) => navigator.clipboard.writeText(given), job.files.pose);
  await canvas.click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("Control+v");
  await page.waitForTimeout(800);
  const pasted = [await status(), Object.keys((await value()).people[0].joints).length];
  const drop = (name, type, body) => page.evaluate(async ([file, kind, data]) => {
    const transfer = new DataTransfer();
    const bytes = kind === "image/png" ? await (await fetch(data)).blob() : data;
    transfer.items.add(new File([bytes], file, { type: kind }));
    window.editor.parts.canvas.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, composed: true, cancelable: true }));
  }, [name, type, body]);
  await drop("pose.json", "application/json", job.files.pose);
  await page.waitForTimeout(800);
  const dropped = (await value()).people.length;
  await drop("mine.png", "image/png", "/figura/picture?filename=figura_hand.png&subfolder=&type=input");
  await page.waitForTimeout(1800);
  const picture = await page.evaluate(() => window.made.load.widgets[0].value);
  await tool("select").click();
  await canvas.focus();
  await page.keyboard.press("Control+c");
  const copied = await page.evaluate(() => navigator.clipboard.readText().catch(() => ""));
  return { pasted, dropped, picture, nodes: (await count()) - nodes, copied: copied.startsWith('[{"people"') };
}

/** The whole skeleton, by its frame and by keys, and poses of the library. */
async function whole() {
  await build({ load: load("figura_scene.png"), prompt: PROMPT }, [["load", 0, "prompt", "image"]]);
  await action("poses").click();
  await frame();
  await shot("poses");
  await part('[data-pose="standing"]').click();
  const nose = async () => (await value()).people[0].joints.nose;
  const stood = await nose();
  await tool("whole").click();
  await frame();
  await shot("whole");
  const { x, y } = (await value()).people[0].joints.neck;
  await drag([x, y + 20], [x + 30, y + 20]);
  const moved = await nose();
  await canvas.focus();
  const texts = [];
  for (const key of ["]", ">", "m", "ArrowLeft"]) {
    await page.keyboard.press(key);
    texts.push(await text());
  }
  const { people: [{ joints }] } = await value();
  return { count: Object.keys(joints).length, moved: [moved.x - stood.x, moved.y - stood.y], steps: new Set(texts).size };
}

/** Everything by keys, and whether the page took any of them for its own. */
async function keys() {
  await build({ load: load("figura_scene.png"), prompt: PROMPT }, [["load", 0, "prompt", "image"]]);
  const graph = () => page.evaluate(() => JSON.stringify([
    window.app.graph.nodes.map(({ id, mode, pos, flags }) => [String(id), mode, ...pos, Boolean(flags?.collapsed)]),
    window.app.extensionManager.sidebarTab?.activeSidebarTabId ?? null,
    document.querySelectorAll("[role=dialog], .p-dialog, .comfy-modal[open]").length,
  ]));
  await canvas.focus();
  const before = await graph();
  const press = async (...pressed) => { for (const key of pressed) await page.keyboard.press(key); };
  await press("r", "Enter", "Shift+ArrowLeft", "Enter", "ArrowUp", "PageDown", "Shift+ArrowDown");
  await frame();
  await shot("keys");
  const said = await status();
  await press("b", "Enter", "Escape", "g", "Enter", "ArrowRight", "n", "Enter", "Shift+ArrowDown", "o", "o", "v");
  const { roi_box, full_box, positive, negative } = await value();
  await press("Delete", "Control+z", "w", "p", "m", "Escape");
  return { said, roi_box, full_box, positive, negative, same: (await graph()) === before };
}

/** A picture that is written anew under its name, seen in every way; and pictures that cannot be shown. */
async function renewed() {
  const write = (width, height) => page.evaluate(async ([w, h]) => {
    const sheet = Object.assign(document.createElement("canvas"), { width: w, height: h });
    sheet.getContext("2d").fillRect(0, 0, w, h);
    const form = new FormData();
    form.append("image", await new Promise((done) => sheet.toBlob(done)), "again.png");
    form.append("overwrite", "true");
    await fetch("/upload/image", { method: "POST", body: form });
  }, [width, height]);
  /** The size, whether a picture is there, and the status line, as soon as they fit. */
  const look = async (fits) => {
    let shown;
    for (let time = 0; time < 60; time += 1) {
      shown = [...(await size()), await status()];
      if (fits(shown)) break;
      await page.waitForTimeout(500);
    }
    return shown;
  };
  const isWide = (wanted) => ([width, , isThere]) => width === wanted && isThere;
  await write(80, 48);
  const points = JSON.stringify({ width: 80, height: 48, positive: [[20, 24]] });
  await build({ load: load("again.png"), prompt: ["FiguraPointPrompt", { points }], view: ["PreviewImage", {}, 700, 0] },
    [["load", 0, "prompt", "image"], ["prompt", 0, "view", "images"]]);
  const found = { first: await look(isWide(80)) };
  await write(160, 96);
  await canvas.focus();
  found.back = await look(isWide(160));
  found.points = await page.evaluate(() => window.editor.session.doc.positive[0]);
  await write(240, 144);
  await setField("load", "image", "again.png");
  found.set = await look(isWide(240));
  await write(320, 192);
  await page.evaluate(() => new Promise((done) => {
    const api = window.app.api ?? window.comfyAPI.api.api;
    for (const name of ["execution_success", "execution_error"]) api.addEventListener(name, () => done(name), { once: true });
    window.app.queuePrompt(0, 1);
  }));
  found.ran = await look(isWide(320));
  for (const name of ["huge", "broken"]) {
    await setField("load", "image", job.files[name]);
    found[name] = await look(([, , , said]) => said.startsWith(job.files[name]));
    await shot(`renewed-${name}`);
  }
  return found;
}

const STEPS = { keys, renewed,  pictures, run, shape, panel, longStatus, pinch, history, connected, kinds, transfers, whole, subgraph };
for (const [name, step] of Object.entries(STEPS)) {
  if (job.only && !job.only.includes(name)) continue;
  try {
    seen[name] = await step();
  } catch (error) {
    seen[name] = { failed: String(error.stack).slice(0, 900) };
    await shot(`failed-${name}`);
  }
}
seen.isVue = isVue;
await close();
console.log(JSON.stringify(seen));
