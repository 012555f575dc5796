import { describe, expect, it } from 'vitest'
import { backupReport } from '../../src/cli/backup-report.ts'
import type { BackupResult } from '../../src/operations/backup.ts'

const RESULT: BackupResult = {
  set: '20240101T000000Z',
  completeness: 'confirmed',
  shards: [],
  ...{ dropped: [], skipped: [], absent: [], unchanged: [], empty: [], lost: [] },
  undeleted: 0,
  fetchedBytes: 0,
}

describe('the report of a backup', () => {
  it('says why a set is not known to be complete, and nothing if it is', () => {
    const completenessReason = 'the server does not say whether a shard is complete'
    const unconfirmed = { ...RESULT, completeness: 'unconfirmed', completenessReason } as const
    expect(backupReport(unconfirmed, 'there').summary).toMatch(
      /\n {2}not confirmed to be all that the server has: the server does not say whether a shard /,
    )
    const names = { database: 'a', retentionPolicy: 'b', shardId: 1n }
    const untold = { ...unconfirmed, shards: [{ ...names, bytes: 1, stored: 1, complete: false }] }
    expect(backupReport(untold, 'there').summary).toMatch(
      / complete; name its HTTP API \(--http\) or have it asked twice \(--twice\)$/m,
    )
    expect(backupReport(RESULT, 'there').summary).not.toContain('confirmed')
    expect(backupReport({ ...unconfirmed, set: undefined }, 'there').summary).not.toContain(
      'confirmed',
    )
  })
})
