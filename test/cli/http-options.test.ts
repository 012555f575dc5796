import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addHttpOptions, readHttpOptions } from '../../src/cli/http-options.ts'
import type { HttpPlace } from '../../src/operations/server-http.ts'
import { tempDir } from '../helpers/temp.ts'
import { contextOf, errorOf, runIn } from './harness.ts'

async function read(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const context = contextOf(['probe', '--json', ...argv], { env })
  let place: HttpPlace | undefined
  await runIn(context, {
    declare: addHttpOptions,
    work: async (_, command) => {
      place = await readHttpOptions(command, context)
      return { document: {} }
    },
  })
  return { place, context }
}

describe('the options of the HTTP API', () => {
  it('are all left out as a rule', async () => {
    const { place } = await read([])
    expect(place).toEqual({ url: undefined, user: undefined, password: undefined })
  })

  it('take the password from a variable, or from the first line of a file', async () => {
    const file = join(await tempDir('password'), 'secret')
    await writeFile(file, 'from file\r\nsecond line\n')
    const env = { INFLUX_SNAP_HTTP_PASSWORD: 'from variable' }
    const words = ['--http', 'http://db1:8086', '--http-user', 'admin']
    const { place } = await read(words, env)
    expect(place).toEqual({ url: 'http://db1:8086', user: 'admin', password: 'from variable' })
    const other = await read([...words, '--http-password-file', file], env)
    expect(other.place?.password).toBe('from file')
  })

  it('refuse a password without a user, and a file that cannot be read', async () => {
    for (const words of [
      ['--http-password-file', '/no/such'],
      ['--http-user', 'admin', '--http-password-file', '/no/such'],
    ]) {
      const { context } = await read(words)
      expect(context.exitCode()).toBe(2)
      expect(errorOf(context)['message']).toContain('--http-password-file')
    }
  })
})
