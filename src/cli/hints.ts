import type { ErrorCode } from '../errors.ts'

/** What to do next about an error that does not say it itself. */
export const DEFAULT_HINTS: Readonly<Record<ErrorCode, string>> = {
  E_FAILED: 'run it again with --debug; if it looks like a fault in snap, please report it',
  E_USAGE: 'see `snap --help`',
  E_INCOMPLETE: 'the notes above name what is missing',
  E_NO_BACKUP: 'check the path; `snap list` shows the sets of a target',
  E_LOCKED: 'wait for the other run to end, or give --lock-wait',
  E_KEY: 'give the key this set was made for',
  E_INTEGRITY: 'do not rely on this set; `snap verify` names every damaged file',
  E_FORMAT: 'do not rely on this set; `snap verify` names every damaged file',
  E_SOURCE: 'check the host, the selection and the log of the server',
  E_SOURCE_DAMAGED: 'run it again; if it stays, look at the log and the disk of the server',
  E_PROTOCOL: 'is this the snapshotter port (8088) of an InfluxDB 1.x?',
  E_CONNECT: 'is influxd running, and does its bind-address (port 8088) listen on this address?',
  E_TIMEOUT: 'the server may be busy: see the --*-timeout options',
  E_CUT: 'run it again; if it stays, look at the log of the server',
  E_DESTINATION: 'check space and permissions of the destination',
  E_NOTHING_MATCHED: 'names are matched exactly, upper and lower case too; try fewer filters',
  E_TARGET_EXISTS: 'choose another name or place',
  E_TARGET_FOREIGN: 'give every server, and every kind of set, a target of its own',
  E_PRUNE_REFUSED: 'nothing was deleted; see the message for what must be put right first',
  E_DIFFERENT: 'the result names the differences',
  E_AT_RISK: 'run a backup before the retention policy drops these shards',
  E_INTERRUPTED: 'run it again; unfinished work is never taken for finished',
  E_TERMINATED: 'run it again; unfinished work is never taken for finished',
}
