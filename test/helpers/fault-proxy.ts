import { EventEmitter, once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

/** What goes wrong with the bytes of one direction; offsets count from its first byte. */
export interface Fault {
  /** After so many bytes both ends of both connections are closed (`fin`) or reset (`rst`). */
  readonly cut?: { readonly after: number; readonly how: 'fin' | 'rst' }
  /** After so many bytes nothing more comes through; the connections stay open. */
  readonly stall?: { readonly after: number }
  /** One bit of one byte is turned over. */
  readonly flip?: { readonly at: number; readonly bit: number }
  /** Before each chunk, in ms. */
  readonly delay?: number
  /** At most so many bytes at a time, each in a packet of its own. */
  readonly chunk?: number
}

/** What happens to one connection; `{}` is none of it. */
export interface Script {
  readonly toServer?: Fault
  readonly toClient?: Fault
  /** The connection is reset as soon as it is there. */
  readonly refuse?: boolean
  /** The server gets what the client sends over a second connection too, and nobody reads that one's answer. */
  readonly twice?: boolean
  /** Reaches the server only after so many of the other connections have ended. */
  readonly afterOthers?: number
  /** Gets the answer to the other connection that is marked so, which gets the answer to this one. */
  readonly swap?: boolean
}

/**
 * Chooses the script of a connection by the type of its request (the second byte of it) and by how many connections of
 * that type there were before.
 */
export type ScriptFor = (type: number, before: number) => Script

/** Sees what goes over connection `index`, as it is passed on. */
export type OnData = (index: number, direction: 'toServer' | 'toClient', data: Uint8Array) => void

/** Bytes passed on of one connection. */
export interface Passed {
  toServer: number
  toClient: number
}

export interface FaultProxy {
  /** `127.0.0.1:port` to connect to. */
  readonly host: string
  /** One entry for each connection there was. */
  readonly connections: readonly Passed[]
  readonly close: () => Promise<void>
}

/**
 * Starts a TCP proxy in front of `target` (`host:port`). Of a list of scripts the first connection gets the first and
 * so on; those after the last script pass untouched.
 */
export async function startFaultProxy(
  target: string,
  scripts: readonly Script[] | ScriptFor,
  onData: OnData = () => undefined,
): Promise<FaultProxy> {
  const connections: Passed[] = []
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const open = () => keep(dial(target))
  const partners = new Partners()
  const choose = typeof scripts === 'function' ? chooseByType(scripts) : undefined
  const start = async (client: Socket, index: number, passed: Passed) => {
    const script = choose ? await choose(client) : (Array.isArray(scripts) && scripts[index]) || {}
    if (script.refuse) return reset(client)
    await partners.ready(client, script)
    const see: See = (direction, data) => {
      passed[direction] += data.length
      onData(index, direction, data)
    }
    await join({ client, upstream: open() }, { script, see, open, partners })
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const passed = { toServer: 0, toClient: 0 }
    const index = connections.push(passed) - 1
    keep(client).on('error', () => undefined)
    start(client, index, passed).catch(() => reset(client))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { host: `127.0.0.1:${portOf(server)}`, connections, close: () => close(server, sockets) }
}

/** Looks at the first two bytes and puts them back. */
function chooseByType(scriptFor: ScriptFor): (client: Socket) => Promise<Script> {
  const before = new Map<number, number>()
  return async (client) => {
    await once(client, 'readable')
    const head: Buffer | null = client.read(2)
    if (head !== null) client.unshift(head)
    const type = head?.[1] ?? -1
    const count = before.get(type) ?? 0
    before.set(type, count + 1)
    return scriptFor(type, count)
  }
}

type Direction = 'toServer' | 'toClient'
type See = (direction: Direction, data: Uint8Array) => void

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
}

/** What connections have to do with each other. */
class Partners {
  readonly #events = new EventEmitter()
  #ended = 0
  readonly #swapping: Socket[] = []

  /** Returns when the connection may go on to the server. */
  async ready(client: Socket, { afterOthers = 0 }: Script): Promise<void> {
    client.once('close', () => {
      this.#ended += 1
      this.#events.emit('ended')
    })
    while (this.#ended < afterOthers) await once(this.#events, 'ended')
  }

  /** Returns the client of the other connection that swaps answers, once it is there. */
  async swap(client: Socket): Promise<Socket> {
    const other = (this.#swapping.push(client) - 1) ^ 1
    this.#events.emit('swap')
    for (;;) {
      const found = this.#swapping[other]
      if (found !== undefined) return found
      await once(this.#events, 'swap')
    }
  }
}

function dial(target: string): Socket {
  const colon = target.lastIndexOf(':')
  const port = Number(target.slice(colon + 1))
  return connect({ port, host: target.slice(0, colon), allowHalfOpen: true, noDelay: true })
}

interface Line {
  readonly script: Script
  readonly see: See
  readonly open: () => Socket
  readonly partners: Partners
}

async function join({ client, upstream }: Pair, line: Line): Promise<void> {
  const { script, see, open, partners } = line
  const reader = script.swap ? partners.swap(client) : Promise.resolve(client)
  const both = [client, upstream]
  const resetBoth = () => both.forEach(reset)
  const cut = (how: 'fin' | 'rst') => {
    if (how === 'rst') resetBoth()
    // destroySoon sends what is queued and a FIN, and reads nothing more.
    else for (const socket of both) socket.destroySoon()
  }
  for (const socket of both) socket.on('error', resetBoth)
  const { toServer: faultOut = {}, toClient: faultBack = {} } = script
  const copies = script.twice
    ? [
        open()
          .on('error', () => undefined)
          .resume(),
      ]
    : []
  pump({ from: client, to: [upstream, ...copies], fault: faultOut, cut }, (data) =>
    see('toServer', data),
  ).catch(resetBoth)
  pump({ from: upstream, to: [await reader], fault: faultBack, cut }, (data) =>
    see('toClient', data),
  ).catch(resetBoth)
}

/** Sends a RST at once. Node's own `resetAndDestroy` sends a FIN before it, which the peer takes for a clean end. */
function reset(socket: Socket): void {
  if (!socket.connecting) Reflect.set(socket, 'resetAndClosing', true)
  socket.destroy()
}

interface Pipe {
  readonly from: Socket
  readonly to: readonly Socket[]
  readonly fault: Fault
  readonly cut: (how: 'fin' | 'rst') => void
}

async function pump(
  { from, to, fault, cut }: Pipe,
  see: (data: Uint8Array) => void,
): Promise<void> {
  const { delay = 0, chunk: step = Number.POSITIVE_INFINITY } = fault
  const limit = Math.min(fault.cut?.after ?? Infinity, fault.stall?.after ?? Infinity)
  let offset = 0
  if (limit === 0) return await stopAt(fault, cut)
  for await (const whole of from.iterator({ destroyOnReturn: false })) {
    const data = flipped(whole, offset, fault).subarray(0, limit - offset)
    for (let start = 0; start < data.length; start += step) {
      if (delay > 0) await sleep(delay)
      const [first, ...copies] = to.map((socket) =>
        write(socket, data.subarray(start, start + step)),
      )
      for (const copy of copies) copy.catch(() => undefined)
      await first
      // A peer in this process reads between two turns; another one is given a moment by the system now and then.
      if (step < data.length) await turn()
    }
    offset += data.length
    see(data)
    if (offset >= limit) return await stopAt(fault, cut)
  }
  for (const socket of to) socket.end()
}

/** Longer than a peer on this machine needs to read what is there. */
const PAUSE_MS = 30

async function stopAt({ cut, stall }: Fault, close: Pipe['cut']): Promise<void> {
  if (cut === undefined || cut.after > (stall?.after ?? Infinity)) return
  // Where data and a RST lie there together, Node reads the data and then takes the RST for a clean end.
  if (cut.how === 'rst') await sleep(PAUSE_MS)
  close(cut.how)
}

function flipped(chunk: Buffer, offset: number, { flip }: Fault): Buffer {
  if (flip === undefined || flip.at < offset || flip.at >= offset + chunk.length) return chunk
  const copy = Buffer.from(chunk)
  copy[flip.at - offset] = (chunk[flip.at - offset] ?? 0) ^ (1 << flip.bit)
  return copy
}

function write(socket: Socket, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => (error ? reject(error) : resolve()))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
  return address.port
}

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
