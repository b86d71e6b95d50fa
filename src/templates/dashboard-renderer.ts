/** Renders the dashboard's pages: with our templates, and the app's in their place where it has its own. */
import type { Environment, ILoader } from 'nunjucks'

/** Renders a template. @throws what Nunjucks throws */
export type Render = (template: string, context: object) => Promise<string>

/** The members of a loader that its types lack. */
interface Loader {
  readonly async?: boolean
  getSource(...args: unknown[]): unknown
  on?(...args: unknown[]): unknown
  isRelative?(...args: unknown[]): unknown
  resolve?(...args: unknown[]): unknown
}

/** The members of an environment that its types lack. */
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
    const environment = new nunjucks.Environment([...loaders.map(isolate), ours], { autoescape: true })
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

/** A loader of the app's with a cache of its own: Nunjucks caches templates in the loader, each bound to its environment. */
const isolate = (loader: Loader): ILoader =>
  ({
    async: loader.async,
    getSource: (...args: unknown[]) => loader.getSource(...args),
    on: (...args: unknown[]) => loader.on?.(...args),
    ...(loader.isRelative && { isRelative: (...args: unknown[]) => loader.isRelative?.(...args) }),
    ...(loader.resolve && { resolve: (...args: unknown[]) => loader.resolve?.(...args) }),
  }) as unknown as ILoader
