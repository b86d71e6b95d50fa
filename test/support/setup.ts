/** Runs before each file of tests: files share a process, and the modules that they import. */
import sharp from 'sharp'
import { afterEach } from 'vitest'
import { endAll } from './toolkit.js'

// A toolkit that decodes in its own process closes most of sharp's loaders for all of it.
sharp.unblock({ operation: ['VipsForeignLoad'] })

afterEach(endAll)
