// The rooms of web/points: what a document is knows nothing of input and page; input knows nothing of the page; nobody but
// page/ knows ComfyUI.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const POINTS = resolve(dirname(fileURLToPath(import.meta.url)), "../../web/points");
const ALLOWED = {
  words: ["words"], document: ["document", "words"], input: ["document", "input", "words"],
  ui: ["document", "input", "ui", "words"],
};

function importsOf(path) {
  const source = readFileSync(path, "utf8");
  return [...source.matchAll(/from "(\.[^"]+)"/g)].map((found) => resolve(dirname(path), found[1]));
}

function room(path) {
  return dirname(relative(POINTS, path));
}

for (const name of Object.keys(ALLOWED)) {
  test(`${name}/ imports only from ${ALLOWED[name].join(", ")}`, () => {
    const files = readdirSync(join(POINTS, name)).map((file) => join(POINTS, name, file));
    assert.ok(files.length > 3);
    for (const file of files) {
      for (const imported of importsOf(file)) assert.ok(ALLOWED[name].includes(room(imported)), `${file} imports ${imported}`);
    }
  });
}
