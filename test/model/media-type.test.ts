import { describe, expect, test } from 'vitest'
import { sniff } from '#src/model/media-type.js'

describe('magic bytes', () => {
  test.each<[string, string | Buffer, string | undefined]>([
    ['SVG', '<svg xmlns="x"/>', 'svg'],
    [
      'SVG after a prologue',
      '\uFEFF<?xml version="1.0"?>\n<!-- <html> --><!DOCTYPE svg [ <!ENTITY a "b"> ]>\n<svg>',
      'svg',
    ],
    ['HTML with an SVG inside', '<!doctype html><html><svg></svg></html>', undefined],
    ['text', 'GIF8 is not a GIF', undefined],
    ['nothing', '', undefined],
    ['HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), undefined],
    ['AVIF by a compatible brand', Buffer.from('\0\0\0\x1cftypmif1\0\0\0\0mif1avif', 'latin1'), 'avif'],
  ])('%s', (_name, bytes, kind) => expect(sniff(Buffer.from(bytes))).toBe(kind))
})
