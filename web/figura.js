import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { examplePicturesOf, uploadExamplePicture } from "./example_picture.mjs";
import { addPointsEditor } from "./points/page/widget.mjs";

app.registerExtension({ name: "figura.core",
  async beforeConfigureGraph(graphData) {
    for (const name of examplePicturesOf(graphData)) {
      const uploaded = await uploadExamplePicture(api, name);
      if (!uploaded) console.warn(`Figura: ${name} could not be put into the input folder`);
    }
  },
  nodeCreated(node) {
    if (node.comfyClass === "FiguraPointPrompt") addPointsEditor(node, app, api);
  },
});
