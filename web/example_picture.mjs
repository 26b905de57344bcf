// The pictures that workflows such as phac_photo and mask_expansion_native start from come with the pack, but ComfyUI
// reads pictures only from its input folder. When a graph that names one is opened, it is uploaded there, as if the
// user had chosen the file.

export const PICTURE_NAMES = ["figura_scene.png", "figura_hand.png", "figura_photograph.png"];

/** Those of our pictures that LoadImage nodes of a graph (the page's JSON) name. */
export function examplePicturesOf(graphData) {
  const named = (graphData?.nodes ?? [])
    .filter((node) => node.type === "LoadImage")
    .map((node) => node.widgets_values?.[0]);
  return PICTURE_NAMES.filter((name) => named.includes(name));
}

/** Upload one of the pictures; ComfyUI keeps one copy of a file it has already. Says whether it worked. */
export async function uploadExamplePicture(api, name, base = import.meta.url) {
  const answer = await fetch(new URL(`./pictures/${name}`, base));
  if (!answer.ok) return false;
  const form = new FormData();
  form.append("image", await answer.blob(), name);
  const sent = await api.fetchApi("/upload/image", { method: "POST", body: form });
  return sent.ok;
}
