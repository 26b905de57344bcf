// Serves the files of web/ and the page of the editor alone, on a free port of this machine.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..");
const FOLDERS = ["web", "tests/browser"].map((folder) => path.join(ROOT, folder) + path.sep);
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".png": "image/png" };

/** {url, close()} of a running server. */
export async function serve() {
  const server = http.createServer((request, answer) => {
    const file = path.join(ROOT, decodeURIComponent(new URL(request.url, "http://page").pathname));
    if (!FOLDERS.some((folder) => file.startsWith(folder)) || !fs.existsSync(file)) {
      answer.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
      return;
    }
    answer.writeHead(200, { "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream" });
    answer.end(fs.readFileSync(file));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
