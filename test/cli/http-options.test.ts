import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addHttpOptions, readHttpOptions } from '../../src/cli/http-options.ts'
import { tempDir } from '../helpers/temp.ts'
import { errorOf, readWith } from './harness.ts'

async function read(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { value, context } = await readWith(
    ['--json', ...argv],
    { declare: addHttpOptions, read: (command) => readHttpOptions(command, { env }) },
    { env },
  )
  return { value: await value?.catch((error: unknown) => error), context }
}

describe('--http', () => {
  it('is nowhere by default', async () => {
    expect((await read([])).value).toEqual({ url: undefined, user: undefined, password: undefined })
  })

  it('comes with a user, whose password is in a variable or the first line of a file', async () => {
    const file = join(await tempDir('password'), 'file')
    await writeFile(file, 'secret \r\nmore\n')
    const words = ['--http', 'http://h:1', '--http-user', 'root']
    const env = { INFLUX_SNAP_HTTP_PASSWORD: 'told' }
    expect((await read(words, env)).value).toMatchObject({ user: 'root', password: 'told' })
    const { value } = await read([...words, '--http-password-file', file], env)
    expect(value).toEqual({ url: 'http://h:1', user: 'root', password: 'secret ' })
  })

  it('has no password without a user, nor one in a file that is not there', async () => {
    const words = ['--http-password-file', '/no/such/file']
    expect((await read(words)).value).toMatchObject({
      code: 'E_USAGE',
      message: '--http-password-file goes with --http-user',
    })
    expect((await read(['--http-user', 'root', ...words])).value).toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(/^--http-password-file \/no\/such\/file: ENOENT/),
    })
    const { context } = await read(['--http-password', 'told'])
    expect(errorOf(context)['code']).toBe('E_USAGE')
  })
})
