import { SnapError } from '../errors.ts'
import { ParquetFile } from '../formats/parquet.ts'
import { type MeasurementSchema, SchemaCollector } from '../formats/parquet-schema.ts'
import { type FieldPoints, groupBySeries, latin1, type SeriesPoints } from '../formats/points.ts'
import { Handoff } from '../io/handoff.ts'
import { exportFileName, freeName } from './export-names.ts'
import type { ExportRun, PolicyShards } from './export-run.ts'
import type { MeasurementName } from './export-tally.ts'
import type { ExportPlace, ExportTarget, WrittenExport } from './export-target.ts'
import { NO_POINTS } from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'

const SUFFIX = 'parquet'
/** Points held in memory over all open files. */
const MAX_HELD = 1_000_000
const REPLACED = 'strings that are not UTF-8; their wrong bytes were replaced'

interface PlannedFile extends MeasurementName {
  readonly name: string
  readonly schema: MeasurementSchema
}

/**
 * Writes a Parquet file for each measurement. All keys are read first: a file has to know its columns before its first row.
 * @throws SnapError `E_USAGE` if there are several measurements and the place is for one file
 */
export async function exportParquet(
  run: ExportRun,
  { place, target }: { readonly place: ExportPlace; readonly target: ExportTarget },
): Promise<WrittenExport[]> {
  run.progress({ type: 'note', level: 'info', message: 'reading the keys of all shards' })
  const files: PlannedFile[] = []
  const taken = new Set<string>()
  const filled = new Set<ShardName>()
  for (const policy of run.policies) {
    for (const schema of (await collectSchemas(run, policy, filled)).values()) {
      const { database, retentionPolicy } = policy
      const measurement = Buffer.from(schema.measurement, 'latin1').toString()
      const wanted = exportFileName([database, retentionPolicy, measurement], SUFFIX)
      const name = place.kind === 'file' ? place.name : freeName(wanted, SUFFIX, taken)
      files.push({ database, retentionPolicy, measurement, schema, name })
    }
  }
  if (place.kind !== 'directory' && files.length > 1) throw severalMeasurements(files)
  await target.reserve(files.map(({ name }) => name))
  const written: WrittenExport[] = []
  for (const policy of run.policies) {
    written.push(...(await writePolicy(run, policy, { target, files, filled })))
  }
  return written
}

/** @param filled gets the shards that have points */
async function collectSchemas(
  run: ExportRun,
  { shards }: PolicyShards,
  filled: Set<ShardName>,
): Promise<Map<string, MeasurementSchema>> {
  const collector = new SchemaCollector()
  for (const shard of shards) {
    for await (const { key, type } of run.readKeys(shard)) {
      collector.add(key, type)
      filled.add(shard)
    }
    if (!filled.has(shard)) run.progress({ type: 'shardSkipped', shard, reason: NO_POINTS })
  }
  return collector.schemas()
}

function severalMeasurements(files: readonly PlannedFile[]): SnapError {
  const names = files.map(
    ({ database, retentionPolicy, measurement }) =>
      `${measurement} of ${database}.${retentionPolicy}`,
  )
  const shown = names.slice(0, 20).join(', ')
  const more = names.length > 20 ? `, and ${names.length - 20} more` : ''
  return new SnapError(
    'E_USAGE',
    `a Parquet file holds one measurement, and ${files.length} are selected: ${shown}${more}`,
    {
      hint: 'select one with --measurement, --db and --rp, or name a directory (a name with / at its end)',
    },
  )
}

interface PolicyOutput {
  readonly target: ExportTarget
  readonly files: readonly PlannedFile[]
  readonly filled: ReadonlySet<ShardName>
}

async function writePolicy(
  run: ExportRun,
  policy: PolicyShards,
  { target, files, filled }: PolicyOutput,
): Promise<WrittenExport[]> {
  const mine = files.filter(
    ({ database, retentionPolicy }) =>
      database === policy.database && retentionPolicy === policy.retentionPolicy,
  )
  const open = new Map(
    mine.map((file) => [file.schema.measurement, new OpenFile(file, target, run)]),
  )
  try {
    for (const shard of policy.shards.filter((one) => filled.has(one))) {
      const reading = await run.openShard(shard)
      try {
        const late = await writeShard(reading.points, open)
        if (late > 0) run.progress({ type: 'note', level: 'info', message: lateNote(late) })
      } finally {
        await reading.close()
      }
      reading.finish()
    }
    const written: WrittenExport[] = []
    for (const file of open.values()) written.push(await file.finish(run))
    return written
  } catch (error) {
    await Promise.all([...open.values()].map((file) => file.fail(error)))
    throw error
  }
}

/** Writes the points of a shard into their files. Returns how many fields of series have no place there. */
async function writeShard(
  points: AsyncIterable<FieldPoints>,
  files: ReadonlyMap<string, OpenFile>,
): Promise<number> {
  let late = 0
  for await (const series of groupBySeries(points)) {
    const file = files.get(series.measurement)
    const known = file?.known(series)
    late += series.fields.length - (known?.fields.length ?? 0)
    if (file === undefined || known === undefined) continue
    await file.add(known)
    await relieve([...files.values()])
  }
  return late
}

function lateNote(count: number): string {
  return `${count} fields of series appeared while the export ran, and are not in it`
}

/** Writes out what the fullest files hold until all of them hold little enough together. */
async function relieve(files: readonly OpenFile[]): Promise<void> {
  let held = files.reduce((sum, file) => sum + file.held, 0)
  for (const file of held > MAX_HELD ? files.toSorted((a, b) => b.held - a.held) : []) {
    if (held <= MAX_HELD / 2) return
    held -= file.held
    await file.flush()
  }
}

/** A file while its measurement is met here and there. */
class OpenFile {
  readonly #name: MeasurementName
  readonly #schema: MeasurementSchema
  readonly #parquet: ParquetFile
  readonly #handoff = new Handoff()
  readonly #written: Promise<WrittenExport>
  /** Points that are not in a row group yet. */
  held = 0

  constructor(file: PlannedFile, target: ExportTarget, { signal }: ExportRun) {
    const { database, retentionPolicy, measurement, schema } = file
    this.#name = { database, retentionPolicy, measurement }
    this.#schema = schema
    this.#parquet = new ParquetFile(schema)
    this.#written = target.write(file.name, this.#handoff, signal)
    this.#written.then(
      () => this.#handoff.leave(),
      (error) => this.#handoff.leave(error),
    )
  }

  /** Returns a series without the fields that are newer than the schema; undefined if a tag is. */
  known(series: SeriesPoints): SeriesPoints | undefined {
    const { tags, fields } = this.#schema
    const isKnown = series.tags.every((tag) => tags.some(({ key }) => key === latin1(tag.key)))
    if (!isKnown) return undefined
    const known = series.fields.filter(({ name, type }) =>
      fields.some((column) => column.field === name && column.type === type),
    )
    return { ...series, fields: known }
  }

  async add(series: SeriesPoints): Promise<void> {
    const counted = series.fields.map((field) => ({
      ...field,
      blocks: this.#counted(field.blocks),
    }))
    for await (const bytes of this.#parquet.add({ ...series, fields: counted })) {
      this.held = 0
      await this.#handoff.put(bytes)
    }
  }

  async flush(): Promise<void> {
    this.held = 0
    await this.#handoff.put(await this.#parquet.flush())
  }

  async finish({ tally }: ExportRun): Promise<WrittenExport> {
    await this.#handoff.put(await this.#parquet.finish())
    this.#handoff.end()
    const { replacedStrings } = this.#parquet
    if (replacedStrings > 0) tally.leaveOut(this.#name, REPLACED, { points: replacedStrings })
    return await this.#written
  }

  /** Ends the file unfinished and waits until nothing writes it. */
  async fail(error: unknown): Promise<void> {
    this.#handoff.fail(error)
    await this.#written.catch(() => {})
  }

  async *#counted<T extends { readonly times: { readonly length: number } }>(
    blocks: AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    for await (const block of blocks) {
      this.held += block.times.length
      yield block
    }
  }
}
