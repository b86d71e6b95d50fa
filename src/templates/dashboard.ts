/** Renders the dashboard's pages: with our templates, and the app's in their place where it has its own. */
import type { Environment, ILoader } from 'nunjucks'

/** Renders a template. @throws what Nunjucks throws */
export type Render = (template: string, context: object) => Promise<string>

/** What of an environment its types do not tell. */
interface Inside {
  readonly loaders?: readonly ILoader[]
  readonly filters?: Readonly<Record<string, (...args: unknown[]) => unknown>>
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
    const { loaders = [], filters = {}, globals = {} } = (from ?? {}) as Inside
    const ours = new nunjucks.FileSystemLoader(views)
    const environment = new nunjucks.Environment([...loaders, ours], { autoescape: true })
    const { filters: builtIn = {}, globals: builtInGlobals = {} } = environment as Inside
    for (const [name, filter] of Object.entries(filters))
      if (!Object.hasOwn(builtIn, name)) environment.addFilter(name, filter)
    for (const [name, value] of Object.entries(globals))
      if (!Object.hasOwn(builtInGlobals, name)) environment.addGlobal(name, value)
    install(environment)
    return environment
  }
  return async (template, context) => {
    const from = own()
    if (made?.from !== from || made === undefined) made = { from, environment: make(from) }
    return (await made.environment).render(template, context)
  }
}
