// The full-window view: the same editor inside a modal dialog that lives in the editor's own place. The browser draws a
// modal dialog above everything, keeps the focus in it and closes it on Esc; with the node gone, it is gone as well.

import { say } from "../words/words.mjs";
import { element } from "./elements.mjs";

export class LargeView {
  #editor;
  #content;
  #home;

  /** content: the element to be moved; home: where it lies when the view is closed. */
  constructor(editor, content, home) {
    this.#editor = editor;
    this.#content = content;
    this.#home = home;
    this.dialog = element("dialog", {
      "aria-label": say("name.large"),
      onclose: () => this.#leave(),
      onpointerdown: (event) => event.target === this.dialog && this.close(),
      // As in the node: with Ctrl they are the page's, which saves and queues the graph by them.
      onkeydown: (event) => event.ctrlKey || event.metaKey || event.stopPropagation(),
    });
    this.away = element("div", { class: "away hidden" }, say("away"));
    home.append(this.away, this.dialog);
  }

  get isOpen() {
    return this.dialog.open;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.open();
  }

  open() {
    this.dialog.append(this.#content);
    this.#content.classList.add("large");
    this.away.classList.remove("hidden");
    try {
      this.dialog.showModal();
    } catch (error) {
      this.#leave();
      throw error;
    }
    this.#editor.resized();
    this.#editor.focusInside();
  }

  close() {
    this.dialog.close();
    this.#leave();
  }

  #leave() {
    if (this.#content.parentNode !== this.dialog) return;
    this.#content.classList.remove("large");
    this.away.classList.add("hidden");
    this.#home.prepend(this.#content);
    this.#editor.resized();
    this.#editor.focusInside();
  }
}
