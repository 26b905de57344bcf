// The editor's words: the same keys and values in every language.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, test } from "node:test";
import { jointLabel } from "../../web/points/document/names.mjs";
import { BODY_18, HAND_21, STATES } from "../../web/points/document/joints.mjs";
import { POSES } from "../../web/points/document/poses.mjs";
import { TOOLS } from "../../web/points/input/keys.mjs";
import { EN } from "../../web/points/words/en.mjs";
import { JA } from "../../web/points/words/ja.mjs";
import { count, say, setLanguage } from "../../web/points/words/words.mjs";
import { ZH } from "../../web/points/words/zh.mjs";

const POINTS = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../../web/points");
const values = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

afterEach(() => setLanguage("en"));

for (const [name, words] of Object.entries({ zh: ZH, ja: JA })) {
  test(`${name} has the words of English, with the same values in them`, () => {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(EN).sort());
    for (const [key, text] of Object.entries(words)) assert.deepEqual(values(text), values(EN[key]), key);
    const same = Object.keys(words).filter((key) => words[key] === EN[key] && !["list", "count.of"].includes(key));
    assert.deepEqual(same, []);
  });
}

test("every joint, state, tool and pose has its words", () => {
  const keys = [...BODY_18.map((name) => `joint.${name}`), ...STATES.map((state) => `state.${state}`),
    ...TOOLS.map((tool) => `tool.${tool}`), ...POSES.map((pose) => `pose.${pose}`)];
  assert.deepEqual(keys.filter((key) => !Object.hasOwn(EN, key)), []);
  for (const name of HAND_21) assert.ok(!jointLabel("left_hand", name).includes("joint."), name);
});

test("every key that the editor speaks is a word", () => {
  const files = readdirSync(POINTS, { recursive: true }).filter((file) => file.endsWith(".mjs"));
  const keys = files.flatMap((file) => [...readFileSync(join(POINTS, file), "utf8").matchAll(/\b(?:say|count)\([^"()`]*"(\w+\.\w+)"/g)].map(([, key]) => key));
  assert.ok(keys.length > 40);
  assert.deepEqual(keys.filter((key) => !Object.hasOwn(EN, key)), []);
});

test("the page's language is spoken, and English where it is none of ours", () => {
  const spoken = ["zh", "zh-TW", "ja", "JA_jp", "fr", undefined].map((code) => (setLanguage(code), say("joint.nose")));
  assert.deepEqual(spoken, ["鼻子", "鼻子", "鼻", "鼻", "nose", "nose"]);
});

test("values are put in as they are, and unknown keys are said", () => {
  setLanguage("en");
  assert.equal(say("say.failed", { reason: "{reason} $& <b>" }), "Import: {reason} $& <b>");
  assert.deepEqual([say("no.such"), count(1, "count.joint"), count(2, "count.joint")], ["no.such", "1 joint", "2 joints"]);
});
