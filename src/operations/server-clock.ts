import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { parseGoTime } from '../protocol/go-time.ts'

/**
 * Returns the clock of an influxd, in nanoseconds since the epoch.
 * @throws SnapError `E_PROTOCOL` if it does not say, and what {@link HttpClient.query} throws
 */
export async function readServerClock(http: HttpClient, signal: AbortSignal): Promise<bigint> {
  const rows = await http.query("SHOW DIAGNOSTICS FOR 'system'", { signal })
  const time = rows.map(({ values }) => values['currentTime']).find((value) => value !== undefined)
  try {
    return parseGoTime(String(time))
  } catch (error) {
    const message = `${http.url}: its clock shows ${JSON.stringify(time)}, expected a time`
    throw new SnapError('E_PROTOCOL', message, { cause: error })
  }
}
