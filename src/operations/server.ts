import * as v from 'valibot'
import { Client, type ClientOptions } from '../client/index.ts'
import { refuseChanges } from '../datadir/guard.ts'
import {
  type DataDirectory,
  type OpenShard,
  openDataDirectory,
  type PathOptions,
  resolveDataDirectory,
} from '../datadir/index.ts'
import { MetaFile } from '../datadir/meta-file.ts'
import { duplexPair } from '../io/duplex-pair.ts'
import { type Data, decodeData } from '../meta/index.ts'
import type { GoJson } from '../protocol/index.ts'
import { Service } from '../service/index.ts'
import { atDestination } from './at-destination.ts'
import { type ClientSecurity, readClientSecurity } from './client-security.ts'

/** A data directory that is served in this process. */
export interface DirectoryPlace {
  readonly directory: PathOptions
  readonly mode: 'read-only' | 'read-write'
  /** The operator's word, where it cannot be seen that no influxd uses the directory. */
  readonly influxdIsStopped?: boolean | undefined
  readonly tempDir?: string | undefined
  /** Read-write, a directory that is missing is an error; default: it is made. */
  readonly mustExist?: boolean | undefined
}

/** A server on the network, or a data directory. */
export type ServerPlace =
  | {
      readonly host: string
      readonly deadlines?: ClientOptions | undefined
      /** Undefined: no TLS. */
      readonly security?: ClientSecurity | undefined
    }
  | DirectoryPlace

/** What can be done to a data directory beyond the protocol. */
export interface WritableDirectory
  extends Pick<DataDirectory['tsdbStore'], 'standing' | 'addFiles' | 'replaceFiles'> {
  readonly createShard: DataDirectory['tsdbStore']['createShard']
  /** Ends the service first, for good: nothing must be on its way into the directory any more. */
  readonly dropDatabase: DataDirectory['dropDatabase']
  /** Changes the metastore: `change` gets a copy of it. */
  readonly changeMetadata: (change: (data: Data) => void) => Promise<void>
}

/** The side that speaks the snapshotter protocol to an operation. */
export interface OpenServer {
  readonly client: Client
  /** `host:port`, or the path of the data directory. */
  readonly name: string
  /** Opens the files of a shard where they are; left out for a server on the network. */
  readonly openShard?: (shardId: bigint, signal: AbortSignal) => Promise<OpenShard>
  /** What can be done to a data directory and has no place in the protocol; left out for a server on the network. */
  readonly directory?: WritableDirectory
  /** Acknowledged points that the source itself has lost so far, one line each; known of a data directory alone. */
  losses(): readonly string[]
  /** Ends the service of a data directory and lets go of it. May be called twice. */
  close(): Promise<void>
}

/** What our own service says of itself after the metastore; a stock server says `null`. */
export const SNAP_NODE: GoJson = { snap: { exactExport: true, statement: true, state: true } }

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
  if ('directory' in place) return await openDirectory(place)
  const { host, deadlines, security } = place
  const client = new Client(host, {
    ...deadlines,
    ...(security && (await readClientSecurity(security))),
  })
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
      const { dataDir, metaDir } = await resolveDataDirectory(place.directory)
      const isThere = await new MetaFile(metaDir, refuseChanges).isThere()
      if (!isThere) return { name: dataDir, server: undefined }
    }
    const server = await openServer(place)
    return { name: server.name, server }
  })
}

async function openDirectory(place: DirectoryPlace): Promise<OpenServer> {
  const paths = await resolveDataDirectory(place.directory)
  const losses: string[] = []
  const onLoss = (shardId: bigint, message: string) => {
    losses.push(`shard ${shardId}: ${message}`)
  }
  const { mode, influxdIsStopped, tempDir, mustExist } = place
  const options = { mode, influxdIsStopped, tempDir, mustExist, onLoss }
  const directory = await openDataDirectory(paths, options)
  const { metaClient, tsdbStore } = directory
  const service = new Service({ metaClient, tsdbStore, node: SNAP_NODE })
  const client = new Client(async () => {
    const [ours, theirs] = duplexPair()
    void service.handle(theirs, paths.dataDir)
    return ours
  })
  return {
    client,
    name: paths.dataDir,
    openShard: (shardId, signal) => tsdbStore.openShard(shardId, signal),
    directory: {
      createShard: (database, policy, id) => tsdbStore.createShard(database, policy, id),
      standing: (shardId) => tsdbStore.standing(shardId),
      addFiles: (shardId, write) => tsdbStore.addFiles(shardId, write),
      replaceFiles: (shardId, write, state) => tsdbStore.replaceFiles(shardId, write, state),
      changeMetadata: async (change) => {
        const data = decodeData(await metaClient.marshalBinary())
        change(data)
        await metaClient.setData(data)
      },
      dropDatabase: async (database, shardIds) => {
        await service.close()
        await directory.dropDatabase(database, shardIds)
      },
    },
    losses: () => [...new Set(losses)],
    close: async () => {
      await service.close()
      await directory.close()
    },
  }
}
