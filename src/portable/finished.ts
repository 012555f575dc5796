import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import type { CatalogFile, CatalogShard } from './catalog.ts'
import { catalogFileSchema, catalogShardSchema } from './catalog.ts'
import { bigintAsText, decodeJson, uint64Text } from './json.ts'

/** What a run notes beside a shard that it has finished, so that another one can go on if it dies. */
export interface FinishedShard {
  /** ClusterID of the server. */
  readonly clusterId: bigint
  readonly shard: CatalogShard
  /** The archive and its sidecar, by the names that they would get. */
  readonly files: readonly CatalogFile[]
}

const SCHEMA = 'snap/finished/1'

const finishedSchema: v.GenericSchema<unknown, FinishedShard> = v.object({
  schema: v.literal(SCHEMA),
  clusterId: uint64Text,
  shard: catalogShardSchema,
  files: v.array(catalogFileSchema),
})

/** Encodes a note: a line of JSON, and a line with its sha256 in hex. */
export function encodeFinished(finished: FinishedShard): string {
  const line = JSON.stringify({ schema: SCHEMA, ...finished }, bigintAsText)
  return `${line}\n${hashOf(line)}\n`
}

/** Decodes a note. @throws SnapError `E_FORMAT` if it is none, or was not written whole */
export function decodeFinished(text: string, what = 'note of a finished shard'): FinishedShard {
  const [line = '', sha256, ...rest] = text.split('\n')
  if (sha256 === hashOf(line) && rest.join() === '') {
    return decodeJson(Buffer.from(line), finishedSchema, what)
  }
  throw new SnapError('E_FORMAT', `${what}: does not end with its sha256`)
}

function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('hex')
}
