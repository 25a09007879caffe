import { defineConfig } from "vite";

// What the pages of upload links run: one classic script at the top, whose name the server knows.
export default defineConfig({
  base: "./",
  publicDir: false,
  build: {
    outDir: process.env.HAULIER_WEB_OUT ?? "../src/haulier/server/web",
    emptyOutDir: false,
    target: ["chrome111", "firefox115", "safari16.4"],
    reportCompressedSize: false,
    rollupOptions: {
      input: "src/send/send.ts",
      output: { format: "iife", entryFileNames: "send.js" },
    },
  },
  esbuild: { legalComments: "none" },
});
