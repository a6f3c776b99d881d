// Builds static/: two style sheets (the pages' with its dark colours), the scripts and the images, each named by its content's hash, and a manifest that
// maps plain names to hashed ones. Everything comes from node_modules and this folder; nothing is fetched.

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { compileAsync } from "sass";

import { withDark } from "./dark.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const frontend = join(here, "node_modules", "nhsuk-frontend", "dist", "nhsuk");
const target = join(here, "static");
// Ignored by git, so that a build that fails leaves nothing behind to be committed.
const staging = join(here, "node_modules", `.static-${process.pid}`);

async function styles(name) {
  const compiled = await compileAsync(join(here, "styles", name), {
    loadPaths: [join(here, "node_modules")],
    style: "compressed",
    quietDeps: true,
    fatalDeprecations: ["import", "global-builtin"],
  });
  return compiled.css;
}

// The pages promise to fetch nothing from elsewhere: whatever a style sheet refers to must be one of the design
// system's own icons, and travels along; any other address stops the build.
async function icons(css) {
  const found = {};
  for (const [, address] of css.matchAll(/url\(\s*["']?([^"')]*)["']?\s*\)/gi)) {
    if (!/^nhsuk-icon-[a-z-]+\.svg$/.test(address)) {
      throw new Error(`the style sheet refers to ${address}`);
    }
    found[address] ??= await readFile(join(frontend, "assets", "images", address), "utf8");
  }
  return found;
}

async function script(name) {
  const bundled = await build({
    entryPoints: [join(here, "scripts", name)],
    bundle: true,
    format: "esm",
    legalComments: "eof",
    minify: true,
    target: ["es2022"],
    write: false,
  });
  return bundled.outputFiles[0].text;
}

async function main() {
  const contents = {
    "arbiter.css": withDark(await styles("arbiter.scss")),
    "paper.css": await styles("paper.scss"),
    "pages.js": await script("pages.js"),
    "passkeys.js": await script("passkeys.js"),
    "fresh.js": await script("fresh.js"),
    "work-list.js": await script("work-list.js"),
    "drafts.js": await script("drafts.js"),
    "favicon.svg": await readFile(join(here, "images", "favicon.svg"), "utf8"),
  };
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging);
  for (const [name, content] of Object.entries(await icons(contents["arbiter.css"] + contents["paper.css"]))) {
    await writeFile(join(staging, name), content);
  }
  const manifest = {};
  for (const [name, content] of Object.entries(contents)) {
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
    const hashed = `${basename(name, extname(name))}.${hash}${extname(name)}`;
    await writeFile(join(staging, hashed), content);
    manifest[name] = hashed;
  }
  await writeFile(join(staging, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await rm(target, { recursive: true, force: true });
  await rename(staging, target);
  for (const [name, hashed] of Object.entries(manifest)) {
    console.log(`${name} -> static/${hashed} (${contents[name].length} characters)`);
  }
}

await main();
