// The editor's words in the language of the page. Names of joints, tools and states are looked up by their keys.

import { EN } from "./en.mjs";
import { JA } from "./ja.mjs";
import { ZH } from "./zh.mjs";

const LANGUAGES = { en: EN, zh: ZH, ja: JA };
let words = EN;

/** Speak the language of a code such as "zh-TW"; English where it is none of ours. */
export function setLanguage(code) {
  words = LANGUAGES[String(code ?? "").toLowerCase().split(/[-_]/)[0]] ?? EN;
}

/** The words of a key; {name} in them stands for a value. */
export function say(key, values = {}) {
  const text = words[key] ?? EN[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

/** "1 joint", "3 joints": the words of a key for one thing, or of the same key with "s" for several. */
export function count(number, key) {
  return say(number === 1 ? key : `${key}s`, { number });
}
