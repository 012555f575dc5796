import { describe, expect, it } from 'vitest'
import { drillReport } from '../../src/cli/drill-report.ts'
import type { DrillResult } from '../../src/operations/drill.ts'

const SHARD = { database: 'd', retentionPolicy: 'r', shardId: 7n }
const RESULT: DrillResult = {
  ...{
    set: '20240602T000000Z',
    kind: 'snap',
    influxd: { path: '/bin/influxd', version: '1.8.10' },
  },
  ...{ recoveryMs: 2000, differences: [], countDifferences: [], counted: 2, unchecked: 0 },
  shards: [{ ...SHARD, bytes: 4_194_304, durationMs: 1000, points: 1234 }],
  ...{ lost: [], kept: undefined },
}

describe('the report of a drill', () => {
  it('says how long the recovery took and what was compared', () => {
    const { summary, document, problem } = drillReport(RESULT, '/backup')
    expect(summary?.split('\n')).toEqual([
      'set 20240602T000000Z in /backup: recovered into influxd 1.8.10 in 2.0s: 1 shard, 4.0 MiB (2.0 MiB/s)',
      '  1,234 points as in the backup, 2 measurements counted by the server',
    ])
    expect(document).toMatchObject({ bytesPerSecond: 2_097_152, points: 1234, kept: null })
    expect(problem).toBeUndefined()
  })

  it('names differences, some of many', () => {
    const counts = { expected: 9, got: 8, missing: 2, extra: 1, different: 3 }
    const differences = Array.from({ length: 30 }, (_, i) => ({
      ...SHARD,
      measurement: `m${i}`,
      ...counts,
    }))
    const { summary, problem } = drillReport({ ...RESULT, differences }, '/backup')
    expect(summary).toContain('NOT as in the backup')
    expect(summary).toContain('shard 7 (d.r), m0: 2 points missing, 1 more, 3 with another value')
    expect(summary).toContain('and 10 more')
    expect(problem).toMatchObject({
      exitCode: 20,
      message: expect.stringContaining('30 differences'),
    })
  })

  it('names what the server counts otherwise', () => {
    const { shardId: _, ...policy } = SHARD
    const countDifferences = [{ ...policy, measurement: 'm', field: 'v', expected: 2, got: 1 }]
    const { summary, problem } = drillReport(
      { ...RESULT, countDifferences, unchecked: 3 },
      '/backup',
    )
    expect(summary).toContain('d.r, m: the server counts 1 of v, expected 2')
    expect(summary).toContain('3 fields could not be counted')
    expect(problem?.exitCode).toBe(20)
  })

  it('names what was not backed up, and what is kept', () => {
    const lost = [{ ...SHARD, reason: 'it did not open' }]
    const kept = { path: '/tmp/x', command: undefined }
    const result = { ...RESULT, lost, kept, set: undefined, influxd: undefined, recoveryMs: 0 }
    const { summary, problem } = drillReport(result, '/backup')
    expect(summary).toContain('/backup: recovered into a data directory')
    expect(summary).toContain('shard 7 was not backed up: it did not open')
    expect(summary).toContain('kept: /tmp/x')
    expect(problem?.exitCode).toBe(3)
  })
})
