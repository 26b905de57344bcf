// Model files that a saved graph names, with their sources: where such a file is missing, the page itself offers it for
// download when the graph is opened.

import { KNOWN } from "./known.mjs";

/**
 * Let a node write into each saved graph where the files come from that its fields name.
 * @param {object} node a node of the page
 */
export function nameDownloads(node) {
  const before = node.onSerialize;
  node.onSerialize = function (saved) {
    const answer = before?.call(this, saved);
    const { models, ...others } = saved.properties ?? {};
    const named = downloadsOf(this.widgets ?? []);
    const kept = (models ?? []).filter(({ name }) => !Object.hasOwn(KNOWN, name));
    // Not changed in place: the page shares the object with the node.
    if (named.length || models) saved.properties = { ...others, models: [...kept, ...named] };
    return answer;
  };
}

/** What is known of the files that stand in these fields: name, url, directory, and where it is published, hash. */
export function downloadsOf(widgets) {
  const names = widgets.map(({ value }) => String(value ?? "").split(/[\\/]/).pop());
  return [...new Set(names)].filter((name) => Object.hasOwn(KNOWN, name)).map((name) => ({ name, ...KNOWN[name] }));
}
