import { RequestType } from '../protocol/index.ts'
import type { Opening } from './read-opening.ts'

/** A request that has ended. */
export interface ObservedRequest {
  /** A name of {@link RequestType}; `unknown` for one that is none, `none` where nothing sound was asked. */
  readonly type: string
  /** Answered in full; refused, as changes of a read-only service are; or broken off. */
  readonly result: 'answered' | 'refused' | 'failed'
  /** From the end of the request to the end of the answer. */
  readonly seconds: number
  /** Bytes sent. */
  readonly bytes: number
}

/** Counts what a service does. Its methods return at once and never throw. */
export interface Observer {
  /** A connection of the network was taken. */
  connected(): void
  /** It is over. */
  disconnected(): void
  /** A connection was turned away: there are too many, or it did not get through the door. */
  turnedAway(why: 'full' | 'door'): void
  requested(request: ObservedRequest): void
}

/** Counts nothing. */
export const BLIND: Observer = {
  connected() {},
  disconnected() {},
  turnedAway() {},
  requested() {},
}

const TYPE_NAMES = Object.keys(RequestType)

/** Returns what an opening asks for, as {@link ObservedRequest.type} names it. */
export function typeName(opening: Opening | undefined): string {
  return opening === undefined ? 'none' : (TYPE_NAMES[opening.type] ?? 'unknown')
}
