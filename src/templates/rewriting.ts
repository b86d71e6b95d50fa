/** What rewrites pictures in HTML of others, and how; the parser that it needs is another file's. */

/** How pictures are printed in HTML of others. */
export interface RewriteOptions {
  /** A `<picture>` with a source for each format, or one `<img>`. @default 'picture' */
  readonly element?: 'picture' | 'img'
  /** How wide pictures are laid out, where the element does not say: the `sizes` attribute. @default as the macros have it */
  readonly sizes?: string
}

/** HTML on its way, in pieces of ISO 8859-1. */
export interface HtmlRewriter {
  /** Takes a piece, and gives what is ready. */
  write(piece: string): string
  /** What is left. */
  end(): string
}
