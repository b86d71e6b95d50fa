/** The documentation as a site: every page of `docs/`, with a search that works offline. */
import { defineConfig } from 'vitepress'

const link = (text: string, path: string) => ({ text, link: `/${path}` })

export default defineConfig({
  title: 'express-artwork',
  description: 'Images for server-rendered Express apps',
  lastUpdated: false,
  cleanUrls: false,
  srcExclude: ['generate/**', 'node_modules/**'],
  outDir: '.vitepress/dist',
  // What lies outside of the documentation is in the repository.
  ignoreDeadLinks: [/^\.\.?\/(?:\.\.\/)*(?:src|test|example-app|CONTRIBUTING|SECURITY|CHANGELOG|README)/],
  markdown: {
    languageAlias: {
      njk: 'jinja',
      ejs: 'html',
      eta: 'html',
      hbs: 'handlebars',
      console: 'shellscript',
      vcl: 'c',
    },
    // Templates in the text are examples, not templates of the site.
    config: (markdown) => {
      markdown.renderer.rules.code_inline = (tokens, index) =>
        `<code v-pre>${markdown.utils.escapeHtml(tokens[index]?.content ?? '')}</code>`
    },
  },
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [link('Start', 'start'), link('Pictures', 'pictures'), link('Options', 'reference/options')],
    sidebar: [
      {
        text: 'First steps',
        items: [
          link('Start', 'start'),
          link('Responsive pictures', 'pictures'),
          link('Focal points', 'focal-points'),
          link('Filters', 'filters'),
          link('Other template engines', 'engines'),
          link('HTML of a CMS', 'cms'),
          link('In code', 'code'),
          link('Testing your app', 'testing'),
          link('Errors, and why a picture is still from the CDN', 'errors'),
        ],
      },
      {
        text: 'Sources',
        items: [
          link('Entities and your database', 'entities'),
          link('TMDb', 'tmdb'),
          link("The site's own pictures", 'files'),
          link('Uploads', 'uploads'),
          link('Pictures behind a login', 'private'),
          link('AT Protocol', 'atproto'),
          link('Hosts, proxies, sources of your own', 'sources'),
          link('Formats', 'formats'),
        ],
      },
      {
        text: 'Running it',
        items: [
          link('Deploying', 'deploying'),
          link('Several nodes', 'cluster'),
          link('Background work', 'background'),
          link('Clean-up and purging', 'purging'),
          link('Media servers', 'media-servers'),
          link('Dashboard', 'dashboard'),
          link('Metrics and health', 'metrics'),
          link('Command line', 'command-line'),
        ],
      },
      {
        text: 'How it behaves',
        items: [
          link('HTTP and caching', 'http'),
          link('Security', 'security'),
          link('Comparison', 'comparison'),
          link('Benchmarks', 'benchmarks'),
          link('Upgrading', 'upgrading'),
          link('How it is built', 'architecture'),
          link('Glossary', 'glossary'),
          link('Dependencies', 'dependencies'),
        ],
      },
      {
        text: 'Reference',
        items: [
          link('Options', 'reference/options'),
          link('Environment', 'reference/environment'),
          link('Errors', 'reference/errors'),
          link('Routes', 'reference/routes'),
          link('Command line', 'reference/command-line'),
          link('Types', 'reference/types'),
        ],
      },
    ],
  },
})
