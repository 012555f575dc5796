import { Budget } from '../io/budget.ts'

/** What one peer, and all together, may take. Times in ms, amounts in bytes. */
export interface ServiceLimits {
  /** Connections at a time. Past them those that have asked for nothing make room; if there are none, new ones are reset. */
  readonly connections: number
  /** For the TLS handshake. */
  readonly handshake: number
  /** For the line with the token after it. */
  readonly token: number
  /** From then on to the last byte of the request. */
  readonly header: number
  /** For the next bytes from the peer, or for room to send it a megabyte. */
  readonly idle: number
  /** For a whole upload. */
  readonly upload: number
  /** For a request of the network and its answer, from the connection to its end. */
  readonly total: number
  /** For stores to stop when the service closes on them. */
  readonly stop: number
  /** Metastores that are being uploaded, all together: they are in memory until they are imported. */
  readonly metadata: number
  /** Uploads of shards to a server behind, all together: they are in the temporary directory until they are whole. */
  readonly spooled: number
}

const MIB = 1024 * 1024

/** The limits of a service that is given none. */
export const DEFAULT_LIMITS: ServiceLimits = {
  connections: 64,
  handshake: 10_000,
  token: 5_000,
  header: 10_000,
  idle: 120_000,
  upload: 1_800_000,
  total: 86_400_000,
  stop: 5_000,
  metadata: 256 * MIB,
  spooled: 64 * 1024 * MIB,
}

/** What is left of the amounts that peers share. */
export interface Budgets {
  readonly metadata: Budget
  readonly spooled: Budget
}

/** Returns budgets of which nothing is taken yet. */
export function budgetsOf({ metadata, spooled }: ServiceLimits): Budgets {
  return { metadata: new Budget(metadata), spooled: new Budget(spooled) }
}
