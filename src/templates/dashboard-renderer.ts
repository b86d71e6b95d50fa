/** Renders the dashboard's pages: with our templates, and the app's in their place where it has its own. */
import type { Environment, ILoader } from 'nunjucks'

/** Renders a template. @throws what Nunjucks throws */
export type Render = (template: string, context: object) => Promise<string>

/** What of a loader its types do not tell. */
interface Loader {
  readonly async?: boolean
  getSource(...asked: unknown[]): unknown
  on?(...asked: unknown[]): unknown
  isRelative?(...asked: unknown[]): unknown
  resolve?(...asked: unknown[]): unknown
}

/** What of an environment its types do not tell. */
interface Inside {
  readonly loaders?: readonly Loader[]
  readonly filters?: Readonly<Record<string, (...args: unknown[]) => unknown>>
  readonly asyncFilters?: readonly string[]
  readonly globals?: Readonly<Record<string, unknown>>
}

/**
 * Makes the renderer. Pages are always escaped, whatever the app's own environment does; its loaders come first, and
 * its filters and globals are there, so that its layout can be ours.
 * @param own the environment that the app has installed the filters in, if it has
 * @param install adds our filters
 */
export function createRenderer(
  views: string,
  own: () => Environment | undefined,
  install: (environment: Environment) => void,
): Render {
  let made: { readonly from: Environment | undefined; readonly environment: Promise<Environment> } | undefined
  const make = async (from: Environment | undefined): Promise<Environment> => {
    const { default: nunjucks } = await import('nunjucks')
    const { loaders = [], filters = {}, asyncFilters = [], globals = {} } = (from ?? {}) as Inside
    const ours = new nunjucks.FileSystemLoader(views)
    const environment = new nunjucks.Environment([...loaders.map(apart), ours], { autoescape: true })
    const { filters: builtIn = {}, globals: builtInGlobals = {} } = environment as Inside
    for (const [name, filter] of Object.entries(filters))
      if (!Object.hasOwn(builtIn, name)) environment.addFilter(name, filter, asyncFilters.includes(name))
    for (const [name, value] of Object.entries(globals))
      if (!Object.hasOwn(builtInGlobals, name)) environment.addGlobal(name, value)
    install(environment)
    return environment
  }
  return async (template, context) => {
    const from = own()
    if (made?.from !== from || made === undefined) made = { from, environment: make(from) }
    const environment = await made.environment
    return new Promise((resolve, reject) => {
      environment.render(template, context, (error, text) =>
        typeof text === 'string' ? resolve(text) : reject(error),
      )
    })
  }
}

/** A loader of the app's with a cache of its own: Nunjucks keeps templates in the loader, each bound to its environment. */
const apart = (loader: Loader): ILoader =>
  ({
    async: loader.async,
    getSource: (...asked: unknown[]) => loader.getSource(...asked),
    on: (...asked: unknown[]) => loader.on?.(...asked),
    ...(loader.isRelative && { isRelative: (...asked: unknown[]) => loader.isRelative?.(...asked) }),
    ...(loader.resolve && { resolve: (...asked: unknown[]) => loader.resolve?.(...asked) }),
  }) as unknown as ILoader
