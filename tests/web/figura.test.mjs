// The extension as ComfyUI loads it, with stand-ins for the page's application and its connection.

import assert from "node:assert/strict";
import module from "node:module";
import { test } from "node:test";

const STAND_INS = `export async function resolve(name, context, next) {
  const [, found] = /scripts\\/(app|api)\\.js$/.exec(name) ?? [];
  if (found) return { url: "data:text/javascript,export const " + found + " = globalThis.comfy." + found, shortCircuit: true };
  const given = await next(name, context);
  return name.endsWith("figura.js") ? { ...given, format: "module" } : given;
}`;

test("the extension hears of runs, before the page passes on what they gave", { skip: !module.register }, async () => {
  const heard = [];
  const queuePrompt = async () => ({});
  const api = { queuePrompt, addEventListener: (name) => heard.push(name) };
  const extensions = [];
  globalThis.comfy = { api, app: { registerExtension: (extension) => extensions.push(extension.name) } };
  module.register(`data:text/javascript,${encodeURIComponent(STAND_INS)}`);
  await import("../../web/figura.js");
  assert.deepEqual([heard, extensions], [["execution_start", "executed"], ["figura.core"]]);
  assert.notEqual(api.queuePrompt, queuePrompt);
});
