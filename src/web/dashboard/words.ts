/** What the dashboard says of jobs and failures: plain sentences in the place of their names in JSON. */

/** What each kind of job does. */
export const JOB_WORDS: Readonly<Record<string, string>> = {
  sync: 'Fetches pictures of entities that are missing, changed, or failed and due',
  refresh: 'Asks sources about pictures that have aged',
  validate: 'Asks whether the source URLs of entities still answer with an image',
  warm: 'Makes sizes and formats before anybody asks',
  cleanup: 'Removes what was not used for long, has no entity any more, or is damaged',
  verify: 'Reads every stored byte and repairs what is damaged',
  export: "Puts entities' pictures into a folder as named files",
  import: "Takes entities' pictures in that are files already",
  download: 'Fetches the picture of one entity',
}

/** Where a job stands. */
export const STATE_WORDS: Readonly<Record<string, string>> = {
  queued: 'waiting',
  running: 'under way',
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
}

/** Why an image could not be had, by its reason. */
export const REASON_WORDS: Readonly<Record<string, string>> = {
  no_url: 'The record has no image URL.',
  invalid_url: 'The URL is none that can be asked.',
  refused: 'A rule of this app refused it.',
  http_404: 'The source has no such image.',
  http_403: 'The source did not let us in.',
  http_5xx: 'The source answered with an error of its own, or asked for a pause.',
  timeout: 'It took too long.',
  connection: 'The source could not be reached, or cut the connection.',
  too_large: 'The image is over a bound of this app.',
  unsupported: 'What came is no image that can be decoded.',
  invalid_image: 'The file is damaged.',
  processing: 'The image could not be decoded or made.',
  disk_write: 'It could not be written to disk.',
  unavailable: 'There was too much to do, or this process was closing.',
  unknown: 'An error that nobody foresaw: it is in the log.',
}

/** A sentence from a phrase: its first letter large, a full stop at its end. */
export const sentence = (phrase: string): string =>
  `${phrase.charAt(0).toUpperCase()}${phrase.slice(1)}${/[.!?]$/.test(phrase) ? '' : '.'}`
