/** The port of what several nodes agree on: leases, and a feed of what each of them changed. */
import type { Failure } from './failure.js'

/** What a node tells the others. Each may come twice. */
export interface ClusterChange {
  /**
   * `dropped`: bytes under these keys, and all that was made from them, are not right any more. `cleared`: everything of the cache
   * is to go. `purging`: what was asked for before is not stored after it. `failed`: these keys could not be had, and why.
   * `succeeded`: what failed is right again. `resting`: these hosts failed so often that they are left alone for a while.
   * `recovered`: they answer again.
   */
  readonly what: 'dropped' | 'cleared' | 'purging' | 'failed' | 'succeeded' | 'resting' | 'recovered'
  /** Keys of the store, or hosts; none where all are meant. */
  readonly keys: readonly string[]
  /** Why they failed, as the negative cache has it. */
  readonly failure?: Failure
}

/** The right to do a piece of work that is done once for all nodes. */
export interface ClusterLease {
  /** Whether another node had it before, or a moment ago: its result may be there now. */
  readonly waited: boolean
  /** Rises with every lease of the cluster; undefined where the engine is gone, and each node works for itself. */
  readonly fence: number | undefined
  /** Whether no other node has had it since: what was made under it may be stored. */
  isHeld(): Promise<boolean>
  /** Lets the next one have it. */
  release(): void
}

/** See the top of the file. No verb throws: a node that cannot reach the engine works alone. */
export interface Coordinator {
  /**
   * Takes the lease of work that one node does for all, after whoever has it now, for as long as that may take; then without it.
   * @param signal stops waiting
   */
  lease(key: string, signal?: AbortSignal): Promise<ClusterLease>
  /** Tells the other nodes, now or once they can be reached. */
  publish(change: ClusterChange): void
  /** Resolves when what was published has been sent, or cannot be now. */
  published(): Promise<void>
  /** How many nodes there are, this one among them; 1 where the others cannot be known. */
  nodes(): number
  /** Why nodes work alone at the moment, undefined where they do not. */
  trouble(): string | undefined
  /** Gives its leases back, and ends its connections. */
  close(): Promise<void>
}

/** What a coordinator hears, and what it remembers beyond this process. */
export interface CoordinatorListener {
  /**
   * Another node's changes, in their order; `lost` where it cannot be known what they were. Resolves when they are taken over: only
   * then the position is saved.
   * @param isLate this node was away when they happened
   */
  heard(changes: readonly ClusterChange[] | 'lost', isLate: boolean): Promise<void>
  /** How far this node has heard; undefined for a node that is new. */
  position(): string | undefined
  /** Keeps how far this node has heard. */
  savePosition(position: string): void
  /** What this node has still to tell the others, also after a restart; '' for nothing. */
  unsent(): string
  /** Keeps it. */
  saveUnsent(text: string): void
}

/** Opens a coordinator: what `redis()` answers. */
export interface CoordinatorSource {
  /** Connects, and goes on where that is not possible yet. @throws Error without the package that it needs */
  open(listener: CoordinatorListener): Promise<Coordinator>
}

/** Which hosts rest after failures, as nodes let each other know. */
export interface SharedHosts {
  /** Called as a host begins to rest, or to rest once more, and as it has recovered. */
  watch(listener: (host: string, isResting: boolean) => void): void
  /** What another node has found of a host. */
  heard(host: string, isResting: boolean): void
  /** Takes the number of nodes that requests at once are divided among. */
  divideBy(nodes: () => number): void
}
