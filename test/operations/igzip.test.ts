import { chmod, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { findIgzip } from '../../src/operations/igzip.ts'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { type DirectorySpec, makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'

/** A folder with an `igzip` in it: gzip, which takes the same flags, after some lines of shell. */
async function pathWith(before = ''): Promise<string> {
  const folder = await tempDir('bin')
  const program = join(folder, 'igzip')
  await writeFile(program, `#!/bin/sh\n${before}\nexec gzip "$@"\n`)
  await chmod(program, 0o755)
  return `relative:${folder}:${process.env.PATH}`
}

/** Some MiB that do not compress to nothing. */
const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))

describe('igzip on the path', () => {
  it('makes members of gzip', async () => {
    const compress = await findIgzip(await pathWith())
    expect(gunzipSync((await compress?.(BYTES)) ?? Buffer.alloc(0)).equals(BYTES)).toBe(true)
    expect(gunzipSync((await compress?.(new Uint8Array())) ?? BYTES)).toHaveLength(0)
  })

  it('is done without where it fails later', async () => {
    const folder = await tempDir('once')
    const path = await pathWith(`[ -e ${folder}/used ] && exit 1; touch ${folder}/used`)
    const compress = await findIgzip(path)
    expect(gunzipSync((await compress?.(BYTES)) ?? Buffer.alloc(0)).equals(BYTES)).toBe(true)
  })

  it('is not used if it is something else, or not there', async () => {
    expect(await findIgzip(await pathWith('exec cat'))).toBeUndefined()
    expect(await findIgzip(await pathWith('exit 3'))).toBeUndefined()
    expect(await findIgzip(await pathWith('exec yes'))).toBeUndefined()
    expect(await findIgzip(await tempDir('empty'))).toBeUndefined()
    expect(await findIgzip(undefined)).toBeUndefined()
    const folder = await tempDir('bin')
    await symlink('/no/such/program', join(folder, 'igzip'))
    expect(await findIgzip(folder)).toBeUndefined()
  })
})

/** Shards whose tars take several members. */
const LARGE: DirectorySpec = {
  d: {
    p: {
      shards: [
        {
          id: 1,
          hour: 0,
          files: Array.from({ length: 6 }, (_, file) =>
            Object.fromEntries(
              Array.from({ length: 4000 }, (_, i) => [
                `m,host=${String(i * 7919).padStart(200, 'x')},n=${file}`,
                [i, i + 100_000],
              ]),
            ),
          ),
        },
      ],
    },
  },
}

describe('a set whose archives are compressed with igzip', () => {
  it('is verified, read from the middle and restored as any other', async () => {
    const { flags } = await makeDirectory(LARGE)
    const env = { PATH: await pathWith() }
    const target = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, target], { env })
    const plain = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, plain], { env: { PATH: '/none' } })
    const [name = ''] = (await readdir(target)).filter((file) => file.endsWith('.s1.json'))
    const sidecar = JSON.parse(await readFile(join(target, name), 'utf8'))
    expect(sidecar.archive.members).toBe(true)
    expect(sidecar.seekPoints.length).toBeGreaterThan(1)
    await snapExpecting(0, ['verify', '--deep', target])
    const compared = await snapJson(['diff', target, plain, '--measurement', 'm'])
    expect(compared).toMatchObject({ different: false, equal: 48_000 })
    const { flags: empty } = await makeDirectory({})
    await snapExpecting(0, ['restore', '--influxd-is-stopped', ...empty, target])
    expect(await snapJson(['diff', target, ...empty])).toMatchObject({ different: false })
  })

  it('loses only the member that is damaged', async () => {
    const { flags } = await makeDirectory(LARGE)
    const target = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, target], { env: { PATH: await pathWith() } })
    const [name = ''] = (await readdir(target)).filter((file) => file.endsWith('.s1.tar.gz'))
    const bytes = await readFile(join(target, name))
    bytes[1000] = (bytes[1000] ?? 0) ^ 0x10
    await writeFile(join(target, name), bytes)
    await snapExpecting(13, ['verify', target])
    const { flags: empty } = await makeDirectory({})
    const words = ['restore', '--salvage', '--influxd-is-stopped', ...empty, target]
    await snapExpecting(3, words)
    const left = await snapJson([
      'export',
      ...empty,
      '--format',
      'lp',
      join(await tempDir('out'), 'x.lp'),
    ])
    expect(left['points']).toBeGreaterThan(0)
  })
})
