// The rows of the list of joints as one stop of Tab: keys go from row to row, as in every list of that kind.

import { STEPS } from "../input/keys.mjs";

export class Rows {
  #session;
  #rows;
  #stop = null;

  /** list: the element that holds the rows, which are buttons in their order. */
  constructor(session, list, rows) {
    this.#session = session;
    this.#rows = rows;
    list.addEventListener("focusin", ({ target }) => this.#rows.includes(target) && this.#stopAt(target));
    this.refresh();
  }

  /** Tab comes to the row that has the focus, to what is chosen, to where it was, or to the first one. */
  refresh() {
    const shown = this.#shown;
    const isCurrent = (row) => row.getAttribute("aria-current") === "true";
    this.#stopAt(shown.find((row) => row.matches(":focus")) ?? shown.find(isCurrent) ?? shown.find((row) => row === this.#stop) ?? shown[0]);
  }

  /**
   * Carry out a command of keys.mjs on the row that has the focus. Arrows are the row's while they move nothing in the
   * picture: Enter selects a joint, which arrows move then, and Esc lets go of it.
   * @returns {boolean} false when it is none of the list's
   */
  go({ name, by_px }, target) {
    const shown = this.#shown;
    const at = shown.indexOf(target);
    if (at === -1) return false;
    const { selection, tool } = this.#session;
    const isArrow = name === "nudge" && by_px[1] !== 0 && selection === null && tool !== "whole";
    if (!isArrow && !STEPS.includes(name)) return false;
    const by = isArrow ? Math.sign(by_px[1]) : { next: 1, previous: -1 }[name];
    const to = { first: 0, last: shown.length - 1 }[name] ?? (at + by + shown.length) % shown.length;
    shown[to].focus();
    return true;
  }

  get #shown() {
    return this.#rows.filter((row) => !row.closest(".hidden"));
  }

  #stopAt(stop) {
    this.#stop = stop;
    for (const row of this.#rows) {
      const index = row === stop ? "0" : "-1";
      if (row.getAttribute("tabindex") !== index) row.setAttribute("tabindex", index);
    }
  }
}
