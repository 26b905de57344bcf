import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { nameDownloads } from "./models/downloads.mjs";
import { listenForRuns } from "./points/page/runs.mjs";
import { addPointsEditor } from "./points/page/widget.mjs";

listenForRuns(api);

app.registerExtension({ name: "figura.core",
  nodeCreated(node) {
    if (node.comfyClass === "FiguraPointPrompt") addPointsEditor(node, app, api);
    if (node.comfyClass?.startsWith("Figura")) nameDownloads(node);
  },
});
