import { defineConfig } from "vite";

// HAULIER_WEB_OUT: where a test builds to, to compare with what is committed.
const outDir = process.env.HAULIER_WEB_OUT ?? "../src/haulier/server/web";

export default defineConfig({
  // Relative, so that the app also works below a path of another application.
  base: "./",
  build: {
    outDir,
    emptyOutDir: true,
    target: ["chrome111", "firefox115", "safari16.4"],
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    // `data:` addresses would need a looser Content-Security-Policy.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
});
