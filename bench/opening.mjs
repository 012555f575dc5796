// The protocol of influxd, as far as the benchmarks speak it themselves.

/** What a client of influxd asks for a shard, in hex. */
export function openingOf(shard) {
  const none = '0001-01-01T00:00:00Z'
  const request = {
    ...{ Type: 0, BackupDatabase: 'd', RestoreDatabase: '', BackupRetentionPolicy: 'autogen' },
    ...{ RestoreRetentionPolicy: '', ShardID: shard, Since: none, ExportStart: none },
    ...{ ExportEnd: none, UploadSize: 0 },
  }
  const text = Buffer.from(`${JSON.stringify(request)}\n`)
  return Buffer.concat([Buffer.of(3, 0), text]).toString('hex')
}
