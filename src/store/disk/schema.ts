/** The tables of the catalogue. */
import type { Shape } from '../../database/sqlite.js'
import { FACTS } from '../../model/entry-facts.js'

/**
 * The number in `user_version`: it moves when a process that knows an earlier one could not go on with the file. What is
 * only added (a column that may be null, a table) is in `ADDITIONS`, and the number stays.
 */
const SCHEMA_VERSION = 6

const SCHEMA = `
  -- One row a name. Digests are blobs, and secondary indexes hold row ids: a name costs half as much then.
  CREATE TABLE names (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, digest BLOB NOT NULL,
    size INTEGER NOT NULL, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    storedAt INTEGER NOT NULL, checkedAt INTEGER NOT NULL, freshFor INTEGER NOT NULL,
    staleWhileRevalidate INTEGER, staleIfError INTEGER, held INTEGER NOT NULL,
    etag TEXT, lastModified TEXT, sourceUrl TEXT, original TEXT, madeFrom BLOB, recipe TEXT,
    ownerKind TEXT, ownerId TEXT,
    generation INTEGER NOT NULL, slot INTEGER NOT NULL, indexBytes INTEGER NOT NULL, usedAt INTEGER NOT NULL,
    -- How many rows were made from this one.
    dependents INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX names_by_digest ON names (digest) WHERE held = 1;
  CREATE INDEX names_held ON names (usedAt) WHERE held = 1;
  CREATE INDEX names_free ON names (usedAt) WHERE dependents = 0;
  CREATE INDEX names_by_original ON names (original) WHERE original IS NOT NULL;
  CREATE INDEX names_lost ON names (usedAt) WHERE held = 0;
  CREATE INDEX names_by_size ON names (size);
  CREATE INDEX names_by_age ON names (storedAt);
  CREATE INDEX names_by_owner ON names (ownerKind, name, held, size) WHERE ownerKind IS NOT NULL;
  CREATE TABLE totals (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- Every change under way, one a name: a lock, a reservation of space, and what to clean up if its process dies.
  CREATE TABLE changing (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, ticket INTEGER NOT NULL, digest BLOB, size INTEGER NOT NULL,
    adds INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- Work that one process does for all: a fetch, an encode, a rebuild.
  CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE failures (
    name TEXT PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL,
    until INTEGER NOT NULL, count INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failures_by_end ON failures (until);
  CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
  -- What sources remember: the PDS of an account.
  CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX notes_by_age ON notes (at);
  CREATE TABLE history (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, note TEXT NOT NULL
  ) STRICT;
  CREATE INDEX history_by_name ON history (name, id);
  CREATE TABLE places (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

const TABLES = ['names', 'totals', 'changing', 'leases', 'failures', 'changes', 'notes', 'places', 'history']
/** The catalogue: it can be rebuilt, so that a commit need not wait for the disk. */
export const CATALOGUE: Shape = {
  schema: SCHEMA,
  version: SCHEMA_VERSION,
  additions: {
    columns: [{ table: 'names', column: FACTS, type: 'TEXT' }],
    // What a recorded failure is about, where its key does not say so.
    tables: `CREATE TABLE IF NOT EXISTS failure_subjects (
      name TEXT PRIMARY KEY, about TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
  checks: [
    ...TABLES.map((table) => `SELECT * FROM ${table} LIMIT 1`),
    'SELECT sum(value) FROM totals; SELECT min(seq), max(seq) FROM changes',
  ],
  synchronous: 'NORMAL',
}
