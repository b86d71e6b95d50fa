/** The child's side of a fleet: it does what its parent orders, and answers. */

type Verbs<O> = { readonly [K in keyof O]: (...args: never[]) => Promise<unknown> }

/** Does what is ordered from now on, until the parent has gone. */
export function obey<O extends Verbs<O>>(orders: O): void {
  type Order = { readonly id: number; readonly verb: keyof O; readonly args: readonly never[] }
  process.on('message', (order: Order) => {
    const run: (...args: never[]) => Promise<unknown> = orders[order.verb]
    run(...order.args).then(
      (result) => process.send?.({ id: order.id, result }),
      (error) => process.send?.({ id: order.id, error: String(error?.stack ?? error) }),
    )
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ id: 0 })
}
