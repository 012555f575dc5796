import { CSV_HEADER, encodeCsv } from '../formats/csv.ts'
import { encodeLineProtocol } from '../formats/line-protocol.ts'
import { formatImportContext, formatImportHeader } from '../formats/line-protocol-header.ts'
import type { FieldPoints } from '../formats/points.ts'
import { exportFileName, freeName } from './export-names.ts'
import type { ExportRun, PolicyShards } from './export-run.ts'
import { measurementName } from './export-tally.ts'
import type { ExportPlace, ExportTarget, WrittenExport } from './export-target.ts'

/** How line protocol and CSV are exported. */
export interface TextOptions {
  readonly format: 'lp' | 'csv'
  /** Begin line protocol with the statements that make databases and policies. */
  readonly ddl: boolean
  readonly gzip: boolean
}

/** Writes one file, or one for each policy into a directory. Returns those that hold points. */
export async function exportText(
  run: ExportRun,
  { place, target }: { readonly place: ExportPlace; readonly target: ExportTarget },
  options: TextOptions,
): Promise<WrittenExport[]> {
  const files = filesOf(run.policies, place, options)
  await target.reserve(files.map(({ name }) => name))
  const written: WrittenExport[] = []
  for (const { name, policies } of files) {
    const before = run.tally.points
    const file = await target.write(name, textOf(run, policies, options), run.signal)
    if (run.tally.points > before) written.push(file)
  }
  return written
}

interface TextFile {
  readonly name: string
  readonly policies: readonly PolicyShards[]
}

function filesOf(
  policies: readonly PolicyShards[],
  place: ExportPlace,
  { format, gzip }: TextOptions,
): TextFile[] {
  if (place.kind !== 'directory') {
    return [{ name: place.kind === 'file' ? place.name : '', policies }]
  }
  const suffix = gzip ? `${format}.gz` : format
  const taken = new Set<string>()
  return policies.map((policy) => {
    const name = exportFileName([policy.database, policy.retentionPolicy], suffix)
    return { name: freeName(name, suffix, taken), policies: [policy] }
  })
}

/** Yields the whole text; nothing if there are no points. */
async function* textOf(
  run: ExportRun,
  policies: readonly PolicyShards[],
  options: TextOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let head: string | undefined = headOf(policies, options)
  for (const policy of policies) {
    let context: string | undefined = options.format === 'lp' ? formatImportContext(policy) : ''
    for (const shard of policy.shards) {
      const reading = await run.openShard(shard)
      let bytes = 0
      try {
        for await (const chunk of encode(run, policy, { points: reading.points, ...options })) {
          const before = (head ?? '') + (context ?? '')
          if (before !== '') yield Buffer.from(before)
          head = undefined
          context = undefined
          yield chunk
          bytes += chunk.length
          run.progress({ type: 'shardProgress', shard, bytes })
        }
      } finally {
        await reading.close()
      }
      reading.finish(bytes)
    }
  }
}

function headOf(policies: readonly PolicyShards[], { format, ddl }: TextOptions): string {
  if (format === 'csv') return CSV_HEADER
  return ddl ? formatImportHeader(policies) : '# DML\n'
}

function encode(
  { tally }: ExportRun,
  policy: PolicyShards,
  { format, points }: TextOptions & { readonly points: AsyncIterable<FieldPoints> },
): AsyncIterable<Uint8Array> {
  const { database, retentionPolicy } = policy
  if (format === 'csv') return encodeCsv(points, { database, retentionPolicy })
  return encodeLineProtocol(points, {
    onLeftOut: ({ key, reason, points: some }) => {
      const name = measurementName(policy, key)
      tally.add(name, -(some ?? 0))
      tally.leaveOut(name, reason, some === undefined ? { keys: 1 } : { points: some })
    },
  })
}
