import type { PolicyName } from './points.ts'

/**
 * Returns the head of a file for `influx -import`: statements that make the databases and policies, then the mark of the
 * data. The first policy of each database becomes its default. None has a duration, so that old points are
 * not refused.
 */
export function formatImportHeader(policies: readonly PolicyName[]): string {
  const statements = ddlStatements(policies).map((statement) => `${statement}\n`)
  return `# DDL\n${statements.join('')}# DML\n`
}

/** Returns the statements that make the databases and policies, as {@link formatImportHeader} has them. */
export function ddlStatements(policies: readonly PolicyName[]): string[] {
  const seen = new Set<string>()
  return policies.map(({ database, retentionPolicy }) => {
    const [db, policy] = [quoteIdentifier(database), quoteIdentifier(retentionPolicy)]
    if (seen.has(database)) {
      return `CREATE RETENTION POLICY ${policy} ON ${db} DURATION INF REPLICATION 1`
    }
    seen.add(database)
    return `CREATE DATABASE ${db} WITH NAME ${policy}`
  })
}

/** Returns the comments that tell `influx -import` where the lines after them belong. */
export function formatImportContext({ database, retentionPolicy }: PolicyName): string {
  return `# CONTEXT-DATABASE:${database}\n# CONTEXT-RETENTION-POLICY:${retentionPolicy}\n`
}

/** Quotes a name for InfluxQL. */
function quoteIdentifier(name: string): string {
  return `"${name.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
}
