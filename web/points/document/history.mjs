/** What was, what is and what was undone, without limit. States are values (here: points texts). */
export class History {
  #past = [];
  #future = [];
  #merge = null;

  constructor(present) {
    this.present = present;
  }

  /** The same history, to go on by itself. */
  copy() {
    const made = new History(this.present);
    made.#past = [...this.#past];
    made.#future = [...this.#future];
    return made;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /**
   * Make `state` the present one; an equal one changes nothing. merge: steps that follow each other with the same
   * key, such as nudges of one joint, are undone together.
   */
  push(state, merge = null) {
    if (state === this.present) return;
    if (merge === null || merge !== this.#merge) this.#past.push(this.present);
    this.#merge = merge;
    this.#future = [];
    this.present = state;
  }

  /** Go to a state that came from elsewhere: back or forth when it is the step beside this one, else by one more step. */
  reach(state) {
    if (state === this.present) return;
    if (state === this.#past.at(-1)) this.undo();
    else if (state === this.#future.at(-1)) this.redo();
    else this.push(state);
  }

  /** Go back one step; gives the present state. */
  undo() {
    return this.#step(this.#past, this.#future);
  }

  /** Take one undo back; gives the present state. */
  redo() {
    return this.#step(this.#future, this.#past);
  }

  #step(from, to) {
    this.#merge = null;
    if (from.length > 0) {
      to.push(this.present);
      this.present = from.pop();
    }
    return this.present;
  }
}
