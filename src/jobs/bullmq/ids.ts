/** Ids of jobs that no two nodes give: the number of a node, and the id in its own queue. */

/** Ids of a node's own queue are below this: they begin with the seconds since the epoch. */
const RANGE = 1e10

/** See the top of the file. @param nodeNumber undefined before the node has one */
export function createIds(nodeNumber: () => number | undefined) {
  return {
    /** The id of a job of this node's queue, as all know it. */
    shared: (local: number): number => {
      const node = nodeNumber()
      return node === undefined || local >= RANGE ? local : node * RANGE + local
    },
    /** The id in this node's queue; undefined where it is another node's. */
    local: (id: number): number | undefined => {
      if (id < RANGE) return id
      return Math.floor(id / RANGE) === nodeNumber() ? id % RANGE : undefined
    },
  }
}
