import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

const outDir = process.env.HAULIER_WEB_OUT ?? "../src/haulier/server/web";

// The service worker: one classic script at the top, built after the app whose files it keeps.
export default defineConfig({
  base: "./",
  publicDir: false,
  define: { __BUILT_FILES__: JSON.stringify(readdirSync(`${outDir}/assets`).sort()) },
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
