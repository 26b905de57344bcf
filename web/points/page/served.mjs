// The picture of one editor, as the server gives it: a JPEG with a tag of the file that it was made from. A file may be
// written anew under its name. Whether it was is asked when there is a reason to, with the tag: the answer to that is small.

/** Ask for the picture of a route. @returns {{file: Blob, tag: string|null}|null} null: it is still the one of that tag */
async function fetchPicture(api, route, tag) {
  const answer = await api.fetchApi(route, tag ? { headers: { "If-None-Match": tag }, cache: "no-store" } : {});
  if (answer.status === 304) return null;
  if (answer.ok) return { file: await answer.blob(), tag: answer.headers.get("ETag") };
  const said = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(said.error ?? String(answer.status)), { said, status: answer.status });
}

/** The tag of a route's file as it is now, or null. */
async function tagOf(api, route) {
  const answer = await api.fetchApi(route, { method: "HEAD", cache: "no-store" }).catch(() => null);
  return answer?.ok ? answer.headers.get("ETag") : null;
}

async function imageOf(file) {
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((done, fail) => Object.assign(image, { onload: done, onerror: () => fail(new Error(file.type)), src: address }));
    return image;
  } finally {
    URL.revokeObjectURL(address);
  }
}

export class ServedPicture {
  #api;
  #route = null;
  #told = null;
  #tag = null;
  #origin = null;
  #originTag = null;
  #isShown = false;
  #why = null;
  #asked = 0;
  #isAsking = false;

  constructor(api) {
    this.#api = api;
  }

  /**
   * Show the picture of a route, or none (null).
   * @param {{shown: function, failed: function, outdated: function}} told shown(image, why): here it is; why: the file that was shown has been
   * written anew, seen when one looked again for that reason, or null. failed(error): there is none; error.said and
   * error.status are the server's, if it answered. outdated(): the file at `origin` has been written anew
   * @param {string|null} origin the route of the file that nodes have made the picture of
   */
  show(route, told, origin = null) {
    this.#route = route;
    this.#origin = origin;
    this.#originTag = null;
    this.#told = told;
    this.#tag = null;
    this.#isShown = false;
    this.#asked += 1;
    this.#isAsking = false;
    if (route !== null) this.#ask();
  }

  /** The file may be another one by now, or be there by now: the user is "back", say, or the node "ran" with it. */
  lookAgain(why) {
    const isDrawn = this.#isShown && this.#tag === null && this.#origin === null;
    if (!this.#isAsking || why === "ran") this.#why = why;
    if (this.#route !== null && !this.#isAsking && !isDrawn) this.#ask();
  }

  async #ask() {
    const ask = (this.#asked += 1);
    this.#isAsking = true;
    const originTag = this.#origin && await tagOf(this.#api, this.#origin);
    if (ask !== this.#asked) return;
    if (this.#why !== "ran" && this.#originTag && originTag && originTag !== this.#originTag) {
      this.#isAsking = false;
      return void this.#told.outdated();
    }
    this.#originTag = originTag ?? this.#originTag;
    const [answer, error] = await this.#answer();
    if (ask !== this.#asked) return;
    this.#isAsking = false;
    // A server that is away for a moment takes no picture away.
    if (error && this.#isShown && !error.said) return;
    if (!error && !answer) return;
    const isAnother = this.#isShown;
    this.#tag = answer?.tag ?? null;
    this.#isShown = !error;
    if (error) this.#told.failed(error);
    else this.#told.shown(answer.image, isAnother ? this.#why : null);
  }

  async #answer() {
    try {
      const answer = await fetchPicture(this.#api, this.#route, this.#tag);
      return [answer && { tag: answer.tag, image: await imageOf(answer.file) }];
    } catch (error) {
      return [null, error];
    }
  }
}
