// node draw.mjs CAPTURED PICTURES: a picture for each captured dashboard, by Chromium without a screen.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const [from, to] = process.argv.slice(2).map((each) => resolve(each));
if (!to) {
  console.error("usage: node draw.mjs CAPTURED PICTURES");
  process.exit(2);
}
const CHROMIUM = process.env.CHROMIUM ?? "chromium";
const ROW = 26, TITLE = 50, WIDTH = 1280;
const folder = mkdtempSync(join(tmpdir(), "penstock-pictures-"));
try {
  await build({
    entryPoints: [join(import.meta.dirname, "panels.tsx")], bundle: true, outfile: join(folder, "panels.js"),
    jsx: "automatic", format: "iife", define: { "process.env.NODE_ENV": '"production"' }, logLevel: "error",
    loader: { ".svg": "dataurl", ".ttf": "dataurl", ".woff2": "dataurl" },
  });
  for (const name of readdirSync(from).filter((each) => each.endsWith(".json"))) {
    const text = readFileSync(join(from, name), "utf8");
    const bottom = Math.max(...JSON.parse(text).dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
    const page = join(folder, "page.html"), picture = join(to, name.replace(".json", ".png"));
    writeFileSync(page, `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="panels.css"><body style="margin:0"><div id="root"></div>
<script>window.CAPTURED=${text.replaceAll("<", "\\u003c")}</script><script src="panels.js"></script>`);
    execFileSync(CHROMIUM, [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", `--user-data-dir=${join(folder, "profile")}`,
      `--window-size=${WIDTH},${bottom * ROW + TITLE}`, "--virtual-time-budget=10000", `--screenshot=${picture}`, `file://${page}`,
    ], { stdio: process.env.DEBUG ? "inherit" : "ignore", timeout: 60_000, killSignal: "SIGKILL" });
    // A palette is enough for lines on white, and a third of the size.
    execFileSync("pngquant", ["--force", "--output", picture, "--speed=1", "64", picture]);
    console.log(picture);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
