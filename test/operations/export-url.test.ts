import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { endpointOf } from '../../src/operations/write-endpoint.ts'
import { snap } from '../helpers/cli.ts'
import { makeDirectory, pointsIn, SAMPLE } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { startWriteReceiver, type Trouble, type WriteReceiver } from '../helpers/write-receiver.ts'

const opened: WriteReceiver[] = []

async function receiver(trouble?: (request: number) => Trouble): Promise<WriteReceiver> {
  const started = await startWriteReceiver(trouble)
  opened.push(started)
  return started
}

afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
})

/** A name in the other one is no line protocol. */
const DB = 'telegraf'
const ALL = pointsIn({ [DB]: SAMPLE[DB] ?? {} }).length

async function send(code: number, url: string, ...words: string[]) {
  const env = { INFLUX_SNAP_TO_TOKEN: 's3cret', XDG_STATE_HOME: await tempDir('state') }
  return await sendIn(env, code, url, ...words)
}

async function sendIn(env: Record<string, string>, code: number, url: string, ...words: string[]) {
  const { flags } = await sample
  const to = ['--to-url', `${url}/api/v2/write`, '--to-org', 'home']
  const ended = await snap(['export', '--json', '--db', DB, ...flags, ...to, ...words], { env })
  expect([ended.code, ended.stderr]).toEqual([code, expect.anything()])
  return JSON.parse(ended.stdout)
}

const sample = makeDirectory()

describe('snap export --to-url', () => {
  it('sends every point to the bucket of its policy', async () => {
    const { url, points, requests } = await receiver()
    const sent = await send(0, url)
    expect(sent).toMatchObject({ points: ALL, target: `${url}/api/v2/write`, resumed: [] })
    expect(points.size).toBe(ALL)
    const buckets = new Set(requests.map((one) => new URL(one.url, url).searchParams.get('bucket')))
    expect(buckets).toEqual(new Set(['telegraf/autogen', 'telegraf/short']))
    expect(points.get('telegraf/autogen cpu,host=a value 1')).toBe('float 1')
  })

  it('says what line protocol cannot say, and ends with 3', async () => {
    const { url } = await receiver()
    const sent = await send(3, url, '--db', 'two words')
    expect(sent).toMatchObject({ points: ALL, leftOut: [{ keys: 1, measurement: 'm' }] })
  })

  it('sends a selection into one bucket', async () => {
    const { url, points } = await receiver()
    await send(0, url, '--measurement', 'mem', '--to-name', 'old {db}')
    expect([...points.keys()].every((key) => key.startsWith('old telegraf mem '))).toBe(true)
    expect(points.size).toBe(5)
  })

  it('tries again what may pass', async () => {
    const troubles: Trouble[] = [
      { status: 503 },
      'reset',
      { status: 429, body: '{"message":"slow"}' },
    ]
    const { url, points } = await receiver((request) => troubles[request])
    expect(await send(0, url)).toMatchObject({ points: ALL })
    expect(points.size).toBe(ALL)
  })

  it.each<[string, Trouble]>([
    ['HTTP 400: field type conflict', { status: 400, body: '{"error":"field type conflict"}' }],
    ['HTTP 404: "nothing here"', { status: 404, body: 'nothing here' }],
    ['HTTP 302: ', { status: 302 }],
  ])('ends with 15 for %s', async (message, trouble) => {
    const { url, points } = await receiver(() => trouble)
    const { error } = await send(15, url)
    expect(error).toMatchObject({ code: 'E_DESTINATION' })
    expect(error.message).toContain(message)
    expect(points.size).toBe(0)
  })

  it('ends with 15 for the wrong token, and does not show it', async () => {
    const { url } = await receiver()
    const wrong = { INFLUX_SNAP_TO_TOKEN: 'wrong-t0ken', XDG_STATE_HOME: await tempDir('state') }
    const { error } = await sendIn(wrong, 15, url)
    expect(error.message).toContain('HTTP 401: unauthorized access')
    expect(JSON.stringify(error)).not.toContain('wrong-t0ken')
  })

  it('goes on where it was stopped', async () => {
    let isDown = false
    const { url, points, requests } = await receiver((request) => {
      isDown ||= request === 2
      return isDown ? { status: 400 } : undefined
    })
    const env = { INFLUX_SNAP_TO_TOKEN: 's3cret', XDG_STATE_HOME: await tempDir('state') }
    await sendIn(env, 15, url, '--jobs', '1')
    isDown = false
    const before = requests.length
    const again = await receiver()
    // Another place is another export.
    expect(await sendIn(env, 0, again.url, '--resume')).toMatchObject({ resumed: [] })
    const resumed = await sendIn(env, 0, url, '--jobs', '1', '--resume')
    expect(resumed.resumed).toHaveLength(2)
    expect(points.size).toBe(ALL)
    expect(requests.length - before).toBe(1)
    expect(await readdir(join(env.XDG_STATE_HOME, 'influx-snap'))).toEqual([])
  })

  it('says when the state of the last run cannot be read, and begins anew without it', async () => {
    let isDown = true
    const { url, points } = await receiver((request) =>
      isDown && request > 0 ? { status: 400 } : undefined,
    )
    const state = await tempDir('state')
    const env = { INFLUX_SNAP_TO_TOKEN: 's3cret', XDG_STATE_HOME: state }
    await sendIn(env, 15, url, '--jobs', '1')
    isDown = false
    await mkdir(join(state, 'influx-snap'), { recursive: true })
    for (const name of await readdir(join(state, 'influx-snap'))) {
      await writeFile(join(state, 'influx-snap', name), '{')
    }
    const { error } = await sendIn(env, 15, url, '--resume')
    expect(error.hint).toContain('--resume')
    await sendIn(env, 0, url)
    expect(points.size).toBe(ALL)
  })

  it.each([
    [['--to-url', 'http://h', 'TARGET']],
    [['--to-name', 'x', 'TARGET']],
    [['--resume', 'TARGET']],
    [['--to-url', 'http://h', '--format', 'csv']],
    [['--to-url', 'http://user:pw@h']],
    [['--to-url', 'http://h/api/v2/write', '--ddl']],
    [['--to-url', 'http://h/api/v2/write', '--check-counts']],
    [['--to-url', 'http://h', '--to-token-file', '/no/such/file']],
  ])('refuses %j', async (words) => {
    const { flags } = await sample
    const { code } = await snap(['export', ...flags, ...words])
    expect(code).toBe(2)
  })
})

describe('the endpoint of a policy', () => {
  const policy = { database: 'my db', retentionPolicy: 'rp' }
  it.each([
    ['http://h:8086', 'http://h:8086/write?db=my+db&rp=rp&precision=ns'],
    ['http://h/proxy/', 'http://h/proxy/write?db=my+db&rp=rp&precision=ns'],
    ['http://h/influx/write?db=x', 'http://h/influx/write?db=x&rp=rp&precision=ns'],
    ['http://h/api/v2/write?org=o', 'http://h/api/v2/write?org=o&bucket=my+db%2Frp&precision=ns'],
    ['http://h/api/v3/write_lp', 'http://h/api/v3/write_lp?db=my+db%2Frp&precision=nanosecond'],
  ])('of %s is %s', (url, expected) => {
    expect(endpointOf({ url: new URL(url) }, policy).url.href).toBe(expected)
  })
})
