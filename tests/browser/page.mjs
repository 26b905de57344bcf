// Opens ComfyUI's page in Chromium, offline: every request that leaves this machine is refused.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const LOCAL = ["127.0.0.1", "localhost"];
// A loaded machine needs minutes for what usually takes seconds.
export const LIMIT_MS = Number(process.env.FIGURA_BROWSER_LIMIT_MS ?? 120000);

/** ComfyUI's page on a fresh profile, ready for use. problems: uncaught errors, and console errors that name Figura. */
export async function openPage(url, settings = {}) {
  const opened = await openEmpty();
  await store(url, { "Comfy.TutorialCompleted": true, "Comfy.Workflow.ShowMissingModelsWarning": true, ...settings });
  await opened.page.goto(url, { waitUntil: "commit" });
  await opened.page.waitForFunction(() => window.app?.graph && window.app?.extensionManager?.command);
  await opened.page.waitForTimeout(1500);
  return opened;
}

/** An empty page on a fresh profile. */
export async function openEmpty() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "figura-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.FIGURA_CHROMIUM ?? "/usr/bin/chromium",
    headless: true, viewport: { width: 1600, height: 1000 }, args: FLAGS,
  });
  await context.route(leavesThisMachine, (route) => route.abort());
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(LIMIT_MS);
  const problems = watchProblems(page);
  return { page, problems, close: () => closeAll(context, profile) };
}

function leavesThisMachine(url) {
  const { hostname, protocol } = new URL(url);
  return !["data:", "blob:"].includes(protocol) && !LOCAL.includes(hostname);
}

function watchProblems(page) {
  const problems = [];
  page.on("pageerror", (error) => {
    const where = /figura/i.test(error.stack) ? " in figura" : "";
    problems.push(`uncaught${where}: ${error.message}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && /figura/i.test(message.text())) problems.push(message.text());
  });
  return problems;
}

/** Settings are kept by the server, not by the browser. */
async function store(url, settings) {
  const headers = { "Content-Type": "application/json" };
  await fetch(`${url}/settings`, { method: "POST", headers, body: JSON.stringify(settings) });
}

async function closeAll(context, profile) {
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
