import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { namesExamplePicture, uploadExamplePicture } from "./example_picture.mjs";
import { addPointsEditor } from "./points/widget.mjs";

app.registerExtension({ name: "figura.core",
  async beforeConfigureGraph(graphData) {
    if (!namesExamplePicture(graphData)) return;
    const uploaded = await uploadExamplePicture(api);
    if (!uploaded) console.warn("Figura: the example picture could not be put into the input folder");
  },
  nodeCreated(node) {
    if (node.comfyClass === "FiguraPointPrompt") addPointsEditor(node, app, api);
  },
});
