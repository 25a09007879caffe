import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

const outDir = process.env.HAULIER_WEB_OUT ?? "../src/haulier/server/web";

// All that was built but the worker itself, what strangers' pages run, and the page, whose address
// is that of its folder.
const folders = ["", "assets/", "icons/"];
const built = folders
  .flatMap((folder) =>
    readdirSync(`${outDir}/${folder}`, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => folder + entry.name),
  )
  .filter((name) => name !== "sw.js" && name !== "send.js")
  .sort();
const content = createHash("sha256");
for (const name of built) content.update(`${name}\n`).update(readFileSync(`${outDir}/${name}`));

// The service worker: one classic script at the top, built after the app whose files it keeps.
export default defineConfig({
  base: "./",
  publicDir: false,
  define: {
    __BUILT_FILES__: JSON.stringify(built.filter((name) => name !== "index.html")),
    __VERSION__: JSON.stringify(content.digest("hex").slice(0, 16)),
  },
  build: {
    outDir,
    emptyOutDir: false,
    target: ["chrome111", "firefox115", "safari16.4"],
    reportCompressedSize: false,
    rollupOptions: {
      input: "src/sw.ts",
      output: { format: "iife", entryFileNames: "sw.js" },
    },
  },
  esbuild: { legalComments: "none" },
});
