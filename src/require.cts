/** What `require('express-artwork')` comes to where Node cannot require ES modules: an error that says what to do. */
throw Object.assign(
  new Error(
    "express-artwork is an ES module, which this version of Node cannot require: write `import { createArtwork } from 'express-artwork'` in a module, or `const { createArtwork } = await import('express-artwork')` in a script, or take Node 20.19, 22.12 or later",
  ),
  // What loaders that fall back to import() look for.
  { code: 'ERR_REQUIRE_ESM' },
)
