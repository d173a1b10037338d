// Bundles app.tsx with Grafana's packages into app.js and app.css.
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';

/** Scenes ask for a router that only Grafana itself has, and for parts of a newer runtime, which they can do without. */
const grafanaWithoutGrafana = {
  name: 'grafana-without-grafana',
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^react-router-dom-v5-compat$/ }, ({ kind, resolveDir }) =>
      resolve('react-router-dom', { kind, resolveDir })
    );
    onLoad({ filter: /plugin-compat\/dist\/esm\/.*\.mjs$/ }, async ({ path }) => ({
      contents: withOptionalImports(await readFile(path, 'utf8')),
      loader: 'js',
    }));
  },
};

/** Makes named imports from the runtime undefined where the runtime lacks them; esbuild would refuse to bundle. */
function withOptionalImports(source) {
  let count = 0;
  return source.replace(/import \{([^}]*)\} from '(@grafana\/runtime(?:\/unstable)?)';/g, (_, names, from) => {
    const module = `runtime${count++}`;
    const constants = names
      .split(',')
      .map((name) => name.trim().split(/\s+as\s+/))
      .filter(([name]) => name)
      .map(([name, alias = name]) => `const ${alias} = ${module}[${JSON.stringify(name)}];`);
    return `import * as ${module} from '${from}'; ${constants.join(' ')}`;
  });
}

await build({
  entryPoints: ['app.tsx'],
  outfile: 'app.js',
  bundle: true,
  format: 'iife',
  platform: 'browser',
  mainFields: ['module', 'browser', 'main'],
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff2': 'empty', '.ttf': 'empty', '.wasm': 'empty' },
  plugins: [grafanaWithoutGrafana],
  logLevel: 'error',
});
