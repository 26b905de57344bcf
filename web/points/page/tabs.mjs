// The tabs of the page. Graphs in two of them may have the same ids, as when a template is opened twice or an older picture
// is dropped in: what is remembered of a node is remembered for its tab.

// Stands for the only one where the page has no tabs, or has not said yet which one is open.
const NO_TAB = {};

/** The tab that is open: an object that stays the same while the tab is there, whatever its file is called. */
export function tabOf(app) {
  return app.extensionManager?.workflow?.activeWorkflow ?? NO_TAB;
}

/** Values by tab and by the name of a node in it; with the tab they are forgotten. */
export class ByTab {
  #tabs = new WeakMap();

  get(tab, name) {
    return this.#tabs.get(tab)?.get(name);
  }

  set(tab, name, value) {
    if (!this.#tabs.has(tab)) this.#tabs.set(tab, new Map());
    this.#tabs.get(tab).set(name, value);
  }
}
