/** Unfinished files have names that end so, here as in influxd. */
export const PENDING_SUFFIX = '.pending'
