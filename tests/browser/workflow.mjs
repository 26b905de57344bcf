// Opens a template from the template browser, compares its graph with the API form, and runs it if asked to.
//
// node workflow.mjs '{"url": ..., "pack": "figura", "template": "Complete a person by points", "api": "....json", "shots": "folder",
//                     "name": "canvas", "settings": {...}, "run": true, "chosen": {"FiguraLoadCFLD": {"model": "mine.safetensors"}}}'
// prints one JSON object: {"listed", "zoom", "overlaps", "different", "ran", "overlapsAfter", "problems"}.

import fs from "node:fs";
import path from "node:path";
import { LIMIT_MS, openPage } from "./page.mjs";

const RUN_LIMIT_MS = 1_500_000;

/** On the canvas above every graph that is shown whole. */
const EMPTY_PLACE = [960, 110];

const job = JSON.parse(process.argv[2]);
const { page, problems, close } = await openPage(job.url, job.settings ?? {});
await page.setViewportSize({ width: 1920, height: 1080 });

async function shot(what) {
  if (job.shots) await page.screenshot({ path: path.join(job.shots, `${job.name}-${what}.png`) });
}

/** Open the template browser at the pack's group; gives the titles it lists. */
async function browseTemplates() {
  await page.evaluate(() => { window.app.extensionManager.command.execute("Comfy.BrowseTemplates"); });
  const group = page.locator('[role="dialog"]').getByText(job.pack, { exact: true }).first();
  await group.waitFor({ state: "attached" });
  await group.scrollIntoViewIfNeeded();
  await group.click();
  const card = page.locator('[role="dialog"]').getByText(job.template, { exact: true }).first();
  await card.waitFor();
  await page.waitForTimeout(2000);
  await shot("templates");
  return card;
}

/** Click the card and wait until its graph is on the canvas. */
async function openTemplate(card) {
  await card.click();
  const count = Object.keys(JSON.parse(fs.readFileSync(job.api, "utf-8"))).length;
  await page.waitForFunction(
    async (wanted) => Object.keys((await window.app.graphToPrompt()).output).length === wanted, count);
  await page.mouse.move(...EMPTY_PLACE); // where the card was, a node would show a tooltip
  await page.waitForTimeout(3000);
  await shot("opens");
}

/** The zoom, and the titles of nodes that lie on each other: by their elements in Nodes 2.0, whose bodies grow. */
function seenOnCanvas() {
  return page.evaluate(() => {
    const elementOf = (node) => document.querySelector(`[data-node-id="${node.id}"]`);
    const drawn = (node) => {
      const { x, y, width, height } = elementOf(node).getBoundingClientRect();
      return [x, y, width, height];
    };
    const frame = (node) => (elementOf(node) ? drawn(node) : [...node.boundingRect ?? node.getBounding()]);
    const boxes = window.app.graph.nodes.map((node) => [node.title || node.type, ...frame(node)]);
    const meet = ([, x, y, w, h], [, x2, y2, w2, h2]) => x < x2 + w2 && x2 < x + w && y < y2 + h2 && y2 < y + h;
    const overlaps = boxes.flatMap((a, index) => boxes.slice(index + 1).filter((b) => meet(a, b)).map((b) => `${a[0]} | ${b[0]}`));
    return { zoom: window.app.canvas.ds.scale, overlaps };
  });
}

/** Inputs in which the graph on the canvas differs from the API form. */
async function differences() {
  const wanted = JSON.parse(fs.readFileSync(job.api, "utf-8"));
  const given = await page.evaluate(async () => (await window.app.graphToPrompt()).output);
  const keys = new Set([...Object.keys(wanted), ...Object.keys(given)]);
  return [...keys].flatMap((id) => nodeDifferences(id, wanted[id], given[id]));
}

function nodeDifferences(id, wanted, given) {
  if (!wanted || !given || wanted.class_type !== given.class_type) return [`node ${id}: ${wanted?.class_type} became ${given?.class_type}`];
  const names = new Set([...Object.keys(wanted.inputs), ...Object.keys(given.inputs)]);
  return [...names]
    .filter((name) => JSON.stringify(wanted.inputs[name]) !== JSON.stringify(given.inputs[name]))
    .map((name) => `node ${id}.${name}: ${JSON.stringify(wanted.inputs[name])} became ${JSON.stringify(given.inputs[name])}`);
}

/** Choose other values in nodes of these types, as somebody would whose files have other names. */
function choose(chosen) {
  return page.evaluate((wanted) => {
    for (const [type, values] of Object.entries(wanted)) {
      const node = window.app.graph.nodes.find((each) => each.type === type);
      for (const [name, value] of Object.entries(values)) node.widgets.find((widget) => widget.name === name).value = value;
    }
  }, chosen);
}

/** Make the server forget earlier runs: a cached sampler shows no previews. */
async function forgetRuns() {
  const headers = { "Content-Type": "application/json" };
  await fetch(`${job.url}/free`, { method: "POST", headers, body: JSON.stringify({ unload_models: true, free_memory: true }) });
  await page.waitForTimeout(3000);
}

/** Press the run key and wait for the end; gives its event and how many previews came. */
async function runGraph() {
  await forgetRuns();
  const seen = page.evaluate(() => new Promise((done) => {
    const api = window.app.api ?? window.comfyAPI.api.api;
    let previews = 0;
    for (const name of ["b_preview", "b_preview_with_metadata"]) api.addEventListener(name, () => { previews += 1; });
    for (const name of ["execution_success", "execution_error", "execution_interrupted"]) {
      api.addEventListener(name, (event) => done({ end: name, message: event.detail?.exception_message ?? "", previews }));
    }
    window.app.queuePrompt(0, 1);
  }));
  // unref: the timer must not keep the program alive once the run has ended.
  const late = new Promise((done) => setTimeout(() => done({ end: "timeout", previews: 0 }), RUN_LIMIT_MS).unref());
  return Promise.race([seen, late]);
}

try {
  const card = await browseTemplates();
  await openTemplate(card);
  const seen = await seenOnCanvas();
  const different = await differences();
  await choose(job.chosen ?? {});
  const ran = job.run ? await runGraph() : null;
  await page.waitForTimeout(3000);
  if (job.run) await shot("ran");
  const { overlaps: overlapsAfter } = await seenOnCanvas();
  console.log(JSON.stringify({ listed: true, ...seen, different, ran, overlapsAfter, problems }));
} catch (error) {
  await shot("failed");
  console.log(JSON.stringify({ listed: false, different: [], ran: null, problems: [...problems, String(error)] }));
} finally {
  await close();
}
