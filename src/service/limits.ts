/** What one peer, and all together, may take. Times in ms. */
export interface ServiceLimits {
  /** Connections at a time; further ones are reset at once. */
  readonly connections: number
  /** From the connection to the last byte of the request. */
  readonly header: number
  /** For the next bytes from the peer, or for room to send it some. */
  readonly idle: number
  /** For a whole upload. */
  readonly upload: number
  /** For stores to stop when the service closes on them. */
  readonly stop: number
}

/** The limits of a service that is given none. */
export const DEFAULT_LIMITS: ServiceLimits = {
  connections: 64,
  header: 10_000,
  idle: 120_000,
  upload: 1_800_000,
  stop: 5_000,
}
