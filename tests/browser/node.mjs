// The point editor in its node, in a real ComfyUI: opens a workflow that begins with a picture file and works the editor
// before anything was queued; reloads the page; runs the graph.
//
// node node.mjs '{"url": ..., "workflow": "....json", "shots": "folder or null", "name": "canvas", "settings": {...},
//                 "run": true}'
// prints one JSON object of what was seen, by step.

import fs from "node:fs";
import path from "node:path";
import { driver } from "./driver.mjs";
import { LIMIT_MS, openPage } from "./page.mjs";

const RUN_LIMIT_MS = 4 * LIMIT_MS;
const EDITED = '[data-joint="joints.right_ankle"]';

const job = JSON.parse(process.argv[2]);
const { page, problems, close } = await openPage(job.url, job.settings ?? {});
const { text, value, joints, part, frame, click, drag, action, tool, status, scale, canvas } = driver(page);
const seen = { problems };

async function shot(what) {
  if (job.shots) await page.screenshot({ path: path.join(job.shots, `${job.name}-${what}.png`) });
}

/** Take the editor of the first Point Prompt as the one to be driven, and look at it closely. */
async function takeEditor() {
  await page.waitForFunction(() => {
    const node = window.app.graph.nodes.find((one) => one.type === "FiguraPointPrompt");
    window.editor = node?.widgets?.find((widget) => widget.name === "points")?.element?.editor;
    return window.editor?.element.isConnected;
  });
  await page.evaluate(() => {
    const node = window.app.graph.nodes.find((one) => one.type === "FiguraPointPrompt");
    const { ds, canvas: element } = window.app.canvas;
    ds.scale = 1;
    ds.offset[0] = 420 - node.pos[0];
    ds.offset[1] = Math.max(element.clientHeight / 2 - node.size[1] / 2, 80) - node.pos[1];
    window.app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(1500);
}

const nodeValue = () => page.evaluate(async () => {
  const node = window.app.graph.nodes.find((one) => one.type === "FiguraPointPrompt");
  const { output } = await window.app.graphToPrompt();
  return {
    field: node.widgets.find((widget) => widget.name === "points").value,
    api: output[String(node.id)].inputs.points,
    extra: Object.keys(output[String(node.id)].inputs).includes("figura_editor"),
    saved: node.serialize().widgets_values,
    copied: node.clone().widgets.find((widget) => widget.name === "points").value,
  };
});

async function edit() {
  // In a narrow node the list of joints stands aside until it is asked for.
  if ((await action("list").getAttribute("aria-pressed")) !== "true") await action("list").click();
  await action("text").click();
  await part("textarea").fill("");
  await action("text").click();
  await tool("full_box").click();
  await drag([200, 90], [380, 430]);
  const empty = await text();
  await action("import").click();
  await page.waitForFunction((old) => window.editor.text !== old || window.editor.session.message.startsWith("Import:"), empty);
  const imported = { said: await status(), joints: (await joints()).length };
  await part('[data-joint="joints.right_knee"]').click();
  if (!(await joints()).includes("right_knee")) await click(286, 330);
  await part(EDITED).click();
  if (!(await joints()).includes("right_ankle")) await click(290, 380);
  await page.keyboard.press("Escape");
  await tool("roi_box").click();
  await drag([216, 240], [350, 414]);
  const drawn = await text();
  await canvas.focus();
  await page.keyboard.press("Control+z");
  const undone = await text();
  await page.keyboard.press("Control+y");
  const { full_box, roi_box } = await value();
  return { imported, full_box, roi_box, undo: undone !== drawn, redo: (await text()) === drawn };
}

async function zoomAndDelete() {
  const whole = await scale();
  await canvas.focus();
  await page.keyboard.press("+");
  await frame();
  const zoomed = await scale();
  await page.keyboard.press("0");
  await part(EDITED).click();
  await canvas.focus();
  await page.keyboard.press("Delete");
  const nodes = await page.evaluate(() => window.app.graph.nodes.filter((node) => node.type === "FiguraPointPrompt").length);
  return { zoomed: zoomed > whole, deleted: !(await joints()).includes("right_ankle"), nodes };
}

async function largeView() {
  await tool("select").click();
  await action("large").click();
  await frame();
  await shot("large");
  const open = await page.evaluate(() => window.editor.large.isOpen);
  await page.keyboard.press("Escape");
  return { open, closed: !(await page.evaluate(() => window.editor.large.isOpen)) };
}

/** The page's own undo takes the last edit back, as if it had been typed into the field. */
async function graphUndo() {
  const before = await text();
  await page.evaluate(() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undo());
  await page.waitForTimeout(1500);
  await takeEditor();
  const after = await text();
  await page.evaluate(() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.redo());
  await page.waitForTimeout(1500);
  await takeEditor();
  return { changed: after !== before, back: (await text()) === before };
}

/** Give the Point Prompt a detected pose, so that the run hands the editor what comes in. What an earlier run of the
 * same graph left in the server's cache is forgotten: a node that is cached says nothing again. */
const connectPose = () => page.evaluate(async () => {
  await fetch("/free", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"free_memory": true}' });
  const { graph } = window.app;
  const [loader, prompt] = ["LoadImage", "FiguraPointPrompt"].map((type) => graph.nodes.find((node) => node.type === type));
  const detector = window.LiteGraph.createNode("FiguraDetectPose");
  detector.pos = [loader.pos[0], loader.pos[1] - 300];
  graph.add(detector);
  loader.connect(0, detector, "image");
  detector.connect("pose_keypoint", prompt, "pose_keypoint");
});

/** With an empty text everything that came in is a ghost, and Import takes it without asking the server. */
async function ghosts() {
  await action("text").click();
  await part("textarea").fill("");
  await action("text").click();
  await frame();
  const shown = await page.evaluate(() => Object.keys(window.editor.session.ghosts.person.joints).length);
  await action("import").click();
  await frame();
  return { shown, said: await status(), joints: (await joints()).length };
}

async function run() {
  const ended = page.evaluate(() => new Promise((done) => {
    const api = window.app.api ?? window.comfyAPI.api.api;
    let pictures = 0;
    api.addEventListener("executed", (event) => { pictures += event.detail?.output?.images?.length ?? 0; });
    for (const name of ["execution_success", "execution_error", "execution_interrupted"]) {
      api.addEventListener(name, (event) => done({ end: name, message: event.detail?.exception_message ?? "", pictures }));
    }
    window.app.queuePrompt(0, 1);
  }));
  const late = new Promise((done) => setTimeout(() => done({ end: "timeout", pictures: 0 }), RUN_LIMIT_MS).unref());
  return Promise.race([ended, late]);
}

try {
  const workflow = JSON.parse(fs.readFileSync(job.workflow, "utf-8"));
  await page.evaluate((graph) => window.app.loadGraphData(graph), workflow);
  await takeEditor();
  const node = workflow.nodes.find((one) => one.type === "FiguraPointPrompt");
  seen.loaded = { same: (await text()) === node.widgets_values[1] };
  await page.waitForFunction(() => window.editor.canImport);
  await page.waitForTimeout(500);
  await shot("opened");
  seen.edit = await edit();
  seen.zoom = await zoomAndDelete();
  seen.large = await largeView();
  seen.value = { ...(await nodeValue()), text: await text() };
  seen.undo = await graphUndo();
  await shot("edited");
  const before = await text();
  await page.waitForTimeout(3000);
  await page.reload({ waitUntil: "commit" });
  await page.waitForFunction(() => window.app?.graph?.nodes?.some((one) => one.type === "FiguraPointPrompt"));
  await takeEditor();
  seen.reload = { same: (await text()) === before };
  if (job.run) await connectPose();
  seen.ran = job.run ? await run() : null;
  if (job.run) await page.waitForTimeout(2000);
  await shot("ran");
  seen.ghosts = job.run ? await ghosts() : null;
} catch (error) {
  seen.failed = String(error.stack);
  await shot("failed");
} finally {
  await close();
}
console.log(JSON.stringify(seen));
