import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { ROOT } from '../../helpers/sources.ts'
import { treeOf } from '../../helpers/tree.ts'
import { serveDirectory } from '../../operations/servers.ts'
import { expectCode } from './snap.ts'
import { backedUp, isThere, newDirectory, newTarget } from './targets.ts'

const page = await readFile(join(ROOT, 'docs/restore.md'), 'utf8')

/** The exit codes of the page, by code and the beginning of the reason. */
function documented(code: string, reason: string): number {
  const rows = [...page.matchAll(/^\| ([^|]+) \| `(E_\w+)` \| (\d+) \|/gm)]
  const row = rows.find(([, why = '', name]) => name === code && why.startsWith(reason))
  return Number(row?.[3])
}

/** Expects a restore to be refused as the page says, with nothing changed. */
async function refused(
  reason: { readonly code: string; readonly why: string; readonly message: RegExp },
  ...words: string[]
): Promise<void> {
  const { error } = await expectCode(documented(reason.code, reason.why), 'restore', ...words)
  expect(error).toMatchObject({ code: reason.code, message: expect.stringMatching(reason.message) })
  expect(error?.hint).toBeTruthy()
}

async function changed(set: string, end: string, change: (path: string) => Promise<void>) {
  for (const name of await readdir(set)) if (name.endsWith(end)) await change(join(set, name))
}

describe('snap restore is refused for', () => {
  it('a database that exists', async () => {
    const target = await makeDirectory()
    const before = await treeOf(target.root)
    const reason = {
      code: 'E_TARGET_EXISTS',
      why: 'a database of',
      message: /"telegraf" exists on/,
    }
    await refused(reason, ...target.flags, await backedUp())
    expect(await treeOf(target.root)).toEqual(before)
  })

  it('what is not in the backup, or has no points', async () => {
    const target = await newDirectory()
    const set = await backedUp()
    const code = 'E_NOTHING_MATCHED'
    const not = { code, why: 'the database or policy', message: /is not in/ }
    await refused(not, ...target.flags, '--db', 'nothing', set)
    await refused(not, ...target.flags, '--db', 'telegraf', '--rp', 'nothing', set)
    const none = { code, why: 'the backup has no shards', message: /no points|is not in|nothing/ }
    await refused(none, ...target.flags, '--measurement', 'nothing', set)
    const part = await newTarget()
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, '--db', 'two words', part)
    await refused(none, ...target.flags, '--db', 'telegraf', part)
    expect(await isThere(target.root)).toBe(false)
  })

  it('a set that is damaged', async () => {
    const target = await newDirectory()
    const missing = await backedUp()
    await changed(missing, '.s1.tar.gz', (path) => rm(path))
    const archive = { code: 'E_INTEGRITY', why: 'an archive is', message: /is missing/ }
    await refused(archive, ...target.flags, missing)
    const meta = { code: 'E_INTEGRITY', why: 'the metadata', message: /\.meta/ }
    const unreadable = await backedUp()
    await changed(unreadable, '.meta', (path) => writeFile(path, 'no metadata'))
    await refused(meta, ...target.flags, unreadable)
    expect(await isThere(target.root)).toBe(false)
  })

  it('a server that is too old, refuses, or is not there', async () => {
    const set = await backedUp()
    const code = 'E_DESTINATION'
    const target = await newDirectory()
    const { host, stop } = await serveDirectory(target, 'read-write')
    const old = { code, why: 'the server is too old', message: /is influxd 1\.4\.3, too old/ }
    await refused(old, '--host', host, '--http', await serveVersion('1.4.3'), set)
    const merging = ['--merge', '--host', host, '--http', await serveVersion('1.4.3')]
    await refused(old, ...merging, set)
    const gone = { code, why: 'the server refused', message: /cannot connect|refused/ }
    await stop()
    await refused(gone, '--host', host, set)
    const before = await makeDirectory({})
    const reading = await serveDirectory(before, 'read-only')
    const tree = await treeOf(before.root)
    await refused({ ...gone, message: /metadata/ }, '--host', reading.host, set)
    expect(await treeOf(before.root)).toEqual(tree)
  })

  it.each(['1.5.0', 'v1.12.4', '2.0.1', 'unknown'])('no server of version %s', async (version) => {
    const { host } = await serveDirectory(await newDirectory(), 'read-write')
    const http = ['--http', await serveVersion(version)]
    await expectCode(0, 'restore', '--host', host, ...http, '--dry-run', await backedUp())
  })
})

/** Answers as the HTTP API of an empty influxd of some version. */
async function serveVersion(version: string): Promise<string> {
  const build = { name: 'build', columns: ['Version'], values: [[version]] }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const series = body.includes('DIAGNOSTICS')
      ? [build]
      : [{ name: 'databases', columns: ['name'] }]
    response.end(JSON.stringify({ results: [{ series }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}
