import { createServer } from 'node:net'

/** Ports of one worker, so that none takes what another one is about to bind; a Ceph takes seconds to. */
const COUNT = 900
/** Below the range from which systems take the ports of outgoing connections, so none of those can sit there. */
const LOWEST = 15_000 + COUNT * (Number(process.env['VITEST_POOL_ID'] ?? 0) % 16)
/** Those that were given out, and may not be bound yet. */
const given = new Set<number>()

/**
 * Returns `count` different TCP ports of 127.0.0.1 on which nothing listens now. Another process may still come first:
 * whoever binds one must be ready to ask again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > 1000) throw new Error(`no ${count} free ports after ${tries} tries`)
    const port = LOWEST + Math.floor(Math.random() * COUNT)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    ports.add(port)
  }
  return [...ports]
}

/** Returns one free port of 127.0.0.1, see {@link freePorts}. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  if (port === undefined) throw new Error('no free port')
  return port
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
