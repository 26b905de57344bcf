import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { addPointsEditor } from "./points/page/widget.mjs";

app.registerExtension({ name: "figura.core",
  nodeCreated(node) {
    if (node.comfyClass === "FiguraPointPrompt") addPointsEditor(node, app, api);
  },
});
