import { defineConfig } from "vite";

// Everything a page needs is a file of its own below /assets/, so that the pages live with `default-src 'self'`.
export default defineConfig({
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 150,
    rolldownOptions: { input: ["therapist.html", "patient.html", "enter.html", "office.html", "sensor.html"] },
  },
});
