import * as v from 'valibot'
import { recode, SnapError } from '../errors.ts'
import { decodeExactJson } from '../protocol/go-json.ts'
import type { GoJson } from '../protocol/index.ts'
import { encodeGoJson, JsonNumber } from '../protocol/index.ts'
import { checkShape, decodeText } from './json.ts'

/** Keys that influxd does not know, kept as they came. */
export type UnknownKeys = Readonly<Record<string, GoJson>>

/** One archive that a manifest lists. */
export interface ManifestEntry {
  readonly database: string
  readonly policy: string
  readonly shardId: bigint
  readonly fileName: string
  /** Bytes of the tar before compression. */
  readonly size: number
  /** Always 0, as in influxd: a larger number would make its restore prefer the entry over newer sets. */
  readonly lastModified: number
  readonly unknown: UnknownKeys
}

/** A manifest of a portable backup: influxd's JSON, with one key of ours that influxd passes over. */
export interface Manifest {
  /** `size` is that of the metastore inside the file. */
  readonly meta: { readonly fileName: string; readonly size: number; readonly unknown: UnknownKeys }
  readonly limited: boolean
  readonly files: readonly ManifestEntry[]
  /** Never set by influxd OSS, as little as the next two. */
  readonly database?: string | undefined
  readonly policy?: string | undefined
  readonly shardId?: bigint | undefined
  /** Name of our catalog of the set; stock sets have none. */
  readonly catalog?: string | undefined
  readonly unknown: UnknownKeys
}

/** The JSON key of {@link Manifest.catalog}. */
const CATALOG_KEY = 'snapCatalog'

const isNumber = v.instance(JsonNumber, 'expected a number')

const uint64 = v.pipe(
  isNumber,
  v.check(({ text }) => /^\d{1,20}$/.test(text), 'expected an unsigned integer'),
  v.transform(({ text }) => BigInt(text)),
  v.maxValue(0xffff_ffff_ffff_ffffn),
)

const natural = v.pipe(
  isNumber,
  v.check(({ text }) => /^\d{1,16}$/.test(text), 'expected a natural number'),
  v.transform(({ text }) => Number(text)),
  v.safeInteger(),
)

const entrySchema = v.looseObject({
  database: v.string(),
  policy: v.string(),
  shardID: uint64,
  fileName: v.string(),
  size: natural,
  lastModified: v.optional(natural, () => new JsonNumber('0')),
})

const manifestSchema = v.looseObject({
  meta: v.looseObject({ fileName: v.string(), size: natural }),
  limited: v.optional(v.boolean(), false),
  files: v.nullish(v.array(entrySchema), null),
  database: v.optional(v.string()),
  policy: v.optional(v.string()),
  shard_id: v.optional(uint64),
  [CATALOG_KEY]: v.optional(v.string()),
})

/** Turns what the schema let pass into what can be written again: numbers were kept as text. */
function writable(value: unknown): GoJson {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (value instanceof JsonNumber) {
    return /^-?\d+$/.test(value.text) ? BigInt(value.text) : Number(value.text)
  }
  if (Array.isArray(value)) return value.map(writable)
  return typeof value === 'object' && value !== null ? writableFields(value) : null
}

function writableFields(fields: object): UnknownKeys {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, writable(value)]))
}

function parseExact(text: string, what: string): unknown {
  try {
    return decodeExactJson(text, what)
  } catch (error) {
    throw error instanceof SnapError ? recode(error, 'E_FORMAT') : error
  }
}

/**
 * Decodes a manifest of influxd or of snap (docs/formats/portable-set.md). Shard ids are exact, unknown keys kept.
 * @param what names the bytes in messages
 * @throws SnapError `E_FORMAT` if it is longer than 64 MiB, no JSON, or not of the shape that influxd writes
 */
export function decodeManifest(bytes: Uint8Array, what = 'manifest'): Manifest {
  const json = parseExact(decodeText(bytes, what), what)
  const decoded = checkShape(manifestSchema, json, what)
  const { meta, limited, files, database, policy, shard_id: shardId, ...rest } = decoded
  const { [CATALOG_KEY]: catalog, ...unknown } = rest
  const { fileName, size, ...unknownOfMeta } = meta
  return {
    meta: { fileName, size, unknown: writableFields(unknownOfMeta) },
    limited,
    files: (files ?? []).map(({ shardID, ...entry }) => {
      const { database, policy, fileName, size, lastModified, ...unknown } = entry
      return {
        ...{ database, policy, shardId: shardID, fileName, size, lastModified },
        unknown: writableFields(unknown),
      }
    }),
    ...{ database, policy, shardId, catalog },
    unknown: writableFields(unknown),
  }
}

const JSON_TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^"{}[\],:]+/g

/** Encodes a value as Go's `json.MarshalIndent` does, indented by two spaces, at a depth. */
function encodeIndented(value: GoJson, depth: number): string {
  let at = depth
  const line = () => `\n${'  '.repeat(at)}`
  let previous = ''
  return encodeGoJson(value).replace(JSON_TOKENS, (token) => {
    const opened = previous === '{' || previous === '['
    previous = token
    if (token === '}' || token === ']') {
      at -= 1
      return opened ? token : line() + token
    }
    const text = opened ? line() + token : token
    if (token === '{' || token === '[') at += 1
    if (token === ',') return text + line()
    return token === ':' ? ': ' : text
  })
}

/** Encodes a manifest byte for byte as influxd would, then the keys that influxd does not know. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { meta, limited, files, database = '', policy = '', shardId = 0n, catalog } = manifest
  const fields: Readonly<Record<string, GoJson>> = {
    meta: { fileName: meta.fileName, size: meta.size, ...meta.unknown },
    limited,
    files: null,
    ...(database === '' ? {} : { database }),
    ...(policy === '' ? {} : { policy }),
    ...(shardId === 0n ? {} : { shard_id: shardId }),
    ...(catalog === undefined ? {} : { [CATALOG_KEY]: catalog }),
    ...manifest.unknown,
  }
  // One by one: the tokens of ten thousand at once would take ten times their text.
  const entries = files.map((entry) => `\n    ${encodeIndented(encodeEntry(entry), 2)}`)
  const lines = Object.entries(fields).map(([key, value]) => {
    const isFiles = key === 'files' && entries.length > 0
    const text = isFiles ? `[${entries.join(',')}\n  ]` : encodeIndented(value, 1)
    return `\n  ${encodeGoJson(key)}: ${text}`
  })
  return Buffer.from(`{${lines.join(',')}\n}`)
}

function encodeEntry(entry: ManifestEntry): GoJson {
  const { database, policy, shardId, fileName, size, lastModified, unknown } = entry
  return { database, policy, shardID: shardId, fileName, size, lastModified, ...unknown }
}
