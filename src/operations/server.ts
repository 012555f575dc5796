import * as v from 'valibot'
import { Client, type ClientOptions } from '../client/index.ts'
import type { OpenShard } from '../datadir/index.ts'
import { atDestination } from './at-destination.ts'
import type { ClientSecurity } from './client-security.ts'
import type { DirectoryPlace, WritableDirectory } from './served-directory.ts'

/** A server on the network, or a data directory. */
export type ServerPlace =
  | {
      readonly host: string
      readonly deadlines?: ClientOptions | undefined
      /** Undefined: no TLS. */
      readonly security?: ClientSecurity | undefined
    }
  | DirectoryPlace

/** The side that speaks the snapshotter protocol to an operation. */
export interface OpenServer {
  readonly client: Client
  /** `host:port`, or the path of the data directory. */
  readonly name: string
  /** Opens the files of a shard where they are; left out for a server on the network. */
  readonly openShard?: (shardId: bigint, signal: AbortSignal) => Promise<OpenShard>
  /** Returns how many bytes the files of shards are now, by id; left out for a server on the network. */
  readonly readSizes?: (
    ids: readonly bigint[],
    signal: AbortSignal,
  ) => Promise<ReadonlyMap<bigint, number>>
  /** What can be done to a data directory and has no place in the protocol; left out for a server on the network. */
  readonly directory?: WritableDirectory
  /** Acknowledged points that the source itself has lost so far, one line each; known of a data directory alone. */
  losses(): readonly string[]
  /** Ends the service of a data directory and lets go of it. May be called twice. */
  close(): Promise<void>
}

const abilitiesSchema = v.object({
  snap: v.object({
    exactExport: v.optional(v.boolean(), false),
    statement: v.optional(v.boolean(), false),
    state: v.optional(v.boolean(), false),
  }),
})

/** What a server can do beyond influxd's protocol. */
export interface ServerAbilities {
  /** A time range asked of it comes back exact to the point. */
  readonly exactExport: boolean
  /** It ends a shard with the statement that it is complete. */
  readonly statement: boolean
  /** It tells the state of every shard, and with a statement the state that the shard's files are of. */
  readonly state: boolean
}

/** What a stock server can do beyond influxd's protocol. */
export const NO_ABILITIES: ServerAbilities = { exactExport: false, statement: false, state: false }

/** Tells from a server's node what it can do; a stock server can do nothing more. */
export function abilitiesOf(node: Uint8Array): ServerAbilities {
  try {
    return v.parse(abilitiesSchema, JSON.parse(Buffer.from(node).toString())).snap
  } catch {
    return NO_ABILITIES
  }
}

/** Opens a server. One on the network is not connected to before it is asked for something. */
export async function openServer(place: ServerPlace): Promise<OpenServer> {
  if ('directory' in place) {
    // A server on the network needs nothing of the sixty modules behind it.
    const { serveDirectory } = await import('./served-directory.ts')
    return await serveDirectory(place)
  }
  const { host, deadlines, security } = place
  const secured =
    security && (await (await import('./client-security.ts')).readClientSecurity(security))
  const client = new Client(host, { ...deadlines, reused: true, ...secured })
  return { client, name: host, losses: () => [], close: async () => {} }
}

/** A server that a restore goes to. */
export interface Target {
  /** `host:port`, or the path of the data directory. */
  readonly name: string
  /** Undefined for a data directory that is yet to be made and is not to be made now. */
  readonly server: OpenServer | undefined
}

/**
 * Opens the server that a restore goes to. A dry run makes no directory.
 * @throws SnapError `E_DESTINATION`, `E_LOCKED`, `E_USAGE`
 */
export async function openTarget(place: ServerPlace, dryRun: boolean): Promise<Target> {
  return await atDestination(async () => {
    if (dryRun && 'directory' in place) {
      const { missingDirectory } = await import('./served-directory.ts')
      const missing = await missingDirectory(place)
      if (missing !== undefined) return { name: missing, server: undefined }
    }
    const server = await openServer(place)
    return { name: server.name, server }
  })
}
