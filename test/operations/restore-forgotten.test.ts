import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { HttpClient } from '../../src/client/index.ts'
import { addContinuousQuery, emptyData } from '../../src/meta/index.ts'
import { compareUsers, settledQuery } from '../../src/operations/forgotten.ts'
import { createPasswordFile } from '../../src/operations/password-file.ts'
import { restoreForgotten } from '../../src/operations/restore-forgotten.ts'
import { openServer } from '../../src/operations/server.ts'
import { dataOf, makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { serveDirectory } from './servers.ts'

const USER = { name: 'ana', hash: '$2a$', isAdmin: false }
const QUERY = { database: 'd', name: 'q', statement: 'CREATE', doubt: undefined }
const { signal } = new AbortController()

/** An empty server whose HTTP API answers reading statements, and others as it is told to. */
async function place(answer: (q: string) => object, passwords = 'passwords') {
  const { host } = await serveDirectory(await makeDirectory({}), 'read-only')
  const sent: string[] = []
  const api = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const q = new URLSearchParams(body).get('q') ?? ''
    const series = [{ name: 'databases', columns: ['name'] }]
    const isShow = q.startsWith('SHOW')
    if (!isShow) sent.push(q)
    response.end(JSON.stringify(isShow ? { results: [{ series }] } : answer(q)))
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void api.close())
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
  const file = await createPasswordFile(join(await tempDir('users'), passwords))
  onTestFinished(() => file.close())
  const server = await openServer({ host })
  return { sent, server, http: new HttpClient({ url }), place: { url }, passwords: file, signal }
}

const OK = { results: [{}] }
const grants = [
  { database: 'a', privilege: 'READ' },
  { database: 'b "c', privilege: 'ALL' },
] as const

it('says no password in what went wrong', async () => {
  const where = await place((q) => ({ results: [{ error: `cannot do ${q}` }] }))
  const users = [{ ...USER, grants }]
  const done = await restoreForgotten({ users, queries: [QUERY] }, where)
  const [password = ''] = /'([^']+)'/.exec(where.sent[0] ?? '')?.slice(1) ?? []
  expect(password).toMatch(/^[\w-]{32}$/)
  expect(JSON.stringify(done)).not.toContain(password)
  expect(done).toMatchObject({
    users: [{ name: 'ana', state: 'left', grants: [], reason: expect.stringContaining("'***'") }],
    continuousQueries: [{ name: 'q', state: 'left', reason: expect.stringMatching(/CREATE$/) }],
  })
})

it('names the grant that failed, and those that did not', async () => {
  const where = await place((q) => (q.includes('GRANT ALL') ? { error: 'no' } : OK))
  const done = await restoreForgotten({ users: [{ ...USER, grants }], queries: [] }, where)
  expect(where.sent.slice(1)).toEqual([
    'GRANT READ ON "a" TO "ana"',
    'GRANT ALL ON "b \\"c" TO "ana"',
  ])
  const reason = expect.stringMatching(/^GRANT ALL ON "b \\"c" TO "ana": .*: no$/)
  expect(done.users).toEqual([
    { name: 'ana', isAdmin: false, state: 'created', grants: grants.slice(0, 1), reason },
  ])
})

it('sends nothing to another server', async () => {
  const where = await place(() => OK)
  const other = await serveDirectory(await makeDirectory(), 'read-only')
  const server = await openServer({ host: other.host })
  const users = [{ ...USER, grants: [] }]
  const done = await restoreForgotten({ users, queries: [QUERY] }, { ...where, server })
  expect(where.sent).toEqual([])
  const reason = expect.stringMatching(/is not the server at/)
  expect(done).toMatchObject({
    users: [{ state: 'left', reason }],
    continuousQueries: [{ state: 'left', reason }],
  })
  const none = await restoreForgotten({ users, queries: [] }, { ...where, http: undefined })
  expect(none.users).toMatchObject([{ state: 'left', reason: 'there is no HTTP API' }])
})

it('leaves a query of the same name and another text', () => {
  const data = dataOf({ d: { autogen: { shards: [] } } })
  expect(settledQuery(QUERY, data)).toBeUndefined()
  addContinuousQuery(data, 'd', { name: 'q', query: 'CREATE' })
  expect(settledQuery(QUERY, data)).toMatchObject({ state: 'exists' })
  expect(settledQuery({ ...QUERY, statement: 'OTHER' }, data)).toMatchObject({
    ...{ state: 'exists', statement: 'OTHER' },
    reason: 'the target has one of that name with another text',
  })
})

it('finds users by their names', () => {
  const users = [{ ...USER, grants: [] }]
  expect(compareUsers(users, emptyData())).toEqual({ missing: users, known: [] })
})

it('never writes over a file', async () => {
  const path = join(await tempDir('users'), 'file')
  const first = await createPasswordFile(path)
  await expect(createPasswordFile(path)).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
  await first.write([], new Map())
  await first.close()
  await (await createPasswordFile(path)).close()
  await expect(createPasswordFile(join(path, 'x', 'y'))).rejects.toMatchObject({
    code: 'E_DESTINATION',
  })
})
