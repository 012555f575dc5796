import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readBuildInfo } from '../../src/cli/package-info.ts'
import { tempDir } from '../helpers/temp.ts'

describe('what the program was built from', () => {
  it('is what the build has noted, no more', async () => {
    const path = join(await tempDir('build'), 'build.json')
    const build = { commit: 'f'.repeat(40), modified: false }
    await writeFile(path, JSON.stringify({ ...build, other: 1 }))
    expect(readBuildInfo(pathToFileURL(path))).toEqual(build)
  })

  it('is not known of the sources', () => {
    expect(readBuildInfo()).toBeUndefined()
  })
})
