// A saved graph that names a model file which is not here: whether ComfyUI's page offers it for download.
//
// node missing.mjs '{"url": ..., "shots": "folder or null", "name": "canvas", "settings": {...}, "type": "FiguraLoadSAM",
//                    "field": "sam_name", "file": "sam_vit_b_01ec64.pth"}'
// prints one JSON object: {"tells", "saved": [what the graph says of the file], "listed", "buttons": [texts], "asked": [urls], "problems"}.

import path from "node:path";
import { openPage } from "./page.mjs";

const DOWNLOADS = /^(download|get model|open link)/i;
const job = JSON.parse(process.argv[2]);
const { page, problems, close } = await openPage(job.url, job.settings ?? {});

/** The graph of one node with the file's name in its field, as the page saves it. */
function savedGraph() {
  return page.evaluate(({ type, field, file }) => {
    const { app, LiteGraph } = window;
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    node.widgets.find((widget) => widget.name === field).value = file;
    return app.graph.serialize();
  }, job);
}

/** Texts of what can be pressed to download something. */
const buttons = () => page.evaluate((pattern) => {
  const shown = [...document.querySelectorAll("button, a")].filter((one) => one.checkVisibility());
  const texts = shown.map((one) => (one.getAttribute("aria-label") || one.textContent).trim());
  return texts.filter((text) => new RegExp(pattern, "i").test(text));
}, DOWNLOADS.source);

const graph = await savedGraph();
await page.evaluate((given) => window.app.loadGraphData(given), graph);
// Newer pages say that something is missing, older ones list it at once.
const details = page.getByText("View details").first();
const inList = page.getByText(job.file).first();
await details.or(inList).first().waitFor({ timeout: 30000 }).catch(() => {});
const tells = await details.isVisible();
if (tells) await details.click();
await page.waitForTimeout(3000);
if (job.shots) await page.screenshot({ path: path.join(job.shots, `${job.name}.png`) });
const listed = await page.evaluate((file) => document.body.innerText.includes(file), job.file);
const found = await buttons();
// What a press would fetch is kept, not fetched.
await page.evaluate(() => {
  window.asked = [];
  HTMLAnchorElement.prototype.click = function () { window.asked.push(this.href); };
});
const button = page.locator("button, a").filter({ hasText: DOWNLOADS }).first();
if (await button.isVisible().catch(() => false)) await button.click();
await page.waitForTimeout(1500);
const asked = await page.evaluate(() => window.asked);
console.log(JSON.stringify({ tells, saved: graph.nodes[0].properties.models ?? [], listed, buttons: found, asked, problems }));
await close();
