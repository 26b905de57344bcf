// The picture that the workflow phac_photo starts from comes with the pack, but ComfyUI reads pictures only from its
// input folder. When a graph that names it is opened, it is uploaded there, as if the user had chosen the file.

export const PICTURE_NAME = "figura_scene.png";

/** Whether a graph (the page's JSON) has a LoadImage node that names our picture. */
export function namesExamplePicture(graphData) {
  return (graphData?.nodes ?? []).some(
    (node) => node.type === "LoadImage" && node.widgets_values?.[0] === PICTURE_NAME,
  );
}

/** Upload the picture; ComfyUI keeps one copy of a file it has already. Says whether it worked. */
export async function uploadExamplePicture(api, base = import.meta.url) {
  const answer = await fetch(new URL(`./pictures/${PICTURE_NAME}`, base));
  if (!answer.ok) return false;
  const form = new FormData();
  form.append("image", await answer.blob(), PICTURE_NAME);
  const sent = await api.fetchApi("/upload/image", { method: "POST", body: form });
  return sent.ok;
}
