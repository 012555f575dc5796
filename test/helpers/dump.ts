import { parseCsv } from './csv.ts'
import type { Influxd } from './influxd.ts'
import { identifier } from './odd-data.ts'

/** What of a server to dump, and under which names. */
export interface DumpOptions {
  /** Only this database. */
  readonly db?: string
  /** Only this retention policy. */
  readonly rp?: string
  /** The name to show for `db` instead of its own: a restore under a new name is to equal its source. */
  readonly dbAs?: string
  /** The name to show for `rp` instead of its own. */
  readonly rpAs?: string
  /** Leaves out the list of series, which belongs to a database and not to one of its policies. */
  readonly series?: boolean
}

/**
 * Returns every point of a server as sorted text, one line per field value: database, policy, measurement, tags, field,
 * type, time in ns, value. Asked for one field at a time and as CSV, so that no digit is rounded and nothing missing
 * looks like something empty. Two servers hold the same if their dumps are equal.
 */
export async function dumpAll(server: Influxd, options: DumpOptions = {}): Promise<string[]> {
  const lines: string[] = []
  for (const db of await databases(server, options.db)) {
    const shown = options.dbAs ?? db
    if (options.series ?? options.rp === undefined) {
      lines.push(...(await seriesKeys(server, db)).map((key) => JSON.stringify([shown, key])))
    }
    const measurements = await column(server, `SHOW MEASUREMENTS ON ${identifier(db)}`, 'name')
    for (const rp of await policies(server, db, options.rp)) {
      for (const measurement of measurements) {
        const rows = await dumpMeasurement(server, { db, rp, measurement })
        lines.push(...rows.map((row) => JSON.stringify([shown, options.rpAs ?? rp, ...row])))
      }
    }
  }
  return lines.sort()
}

interface Source {
  readonly db: string
  readonly rp: string
  readonly measurement: string
}

async function dumpMeasurement(server: Influxd, source: Source): Promise<string[][]> {
  const { db, rp, measurement } = source
  const from = [rp, measurement].map(identifier).join('.')
  const rows: string[][] = []
  for (const series of await server.query(`SHOW FIELD KEYS ON ${identifier(db)} FROM ${from}`)) {
    for (const [field = '', type = ''] of series.values ?? []) {
      const select = `SELECT ${identifier(String(field))}::${type} FROM ${identifier(db)}.${from} GROUP BY *`
      const found = parseCsv(await server.queryCsv(select)).filter(([name]) => name !== 'name')
      for (const [name = '', tags = '', time = '', ...value] of found) {
        rows.push([name, tags, String(field), String(type), time, value.join(',')])
      }
    }
  }
  return rows
}

async function databases(server: Influxd, only: string | undefined): Promise<string[]> {
  const names = await column(server, 'SHOW DATABASES', 'name')
  return names.filter((name) => (only === undefined ? name !== '_internal' : name === only))
}

async function policies(server: Influxd, db: string, only: string | undefined): Promise<string[]> {
  const names = await column(server, `SHOW RETENTION POLICIES ON ${identifier(db)}`, 'name')
  return names.filter((name) => only === undefined || name === only)
}

/** A tsi1 index answers for the shards of one policy, an inmem index for the whole database: their union is the same. */
async function seriesKeys(server: Influxd, db: string): Promise<string[]> {
  const keys = new Set<string>()
  for (const rp of await policies(server, db, undefined)) {
    const from = `${identifier(rp)}./.*/`
    const found = await column(server, `SHOW SERIES ON ${identifier(db)} FROM ${from}`, 'key')
    for (const key of found) keys.add(key)
  }
  return [...keys]
}

async function column(server: Influxd, q: string, name: string): Promise<string[]> {
  const series = await server.query(q)
  return series.flatMap(({ columns, values = [] }) =>
    values.map((row) => String(row[columns.indexOf(name)])),
  )
}
