import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, messageOf } from '../errors.ts'

/** Something told to a service that watches over runs. */
export interface Announcement {
  /** A secret, as a rule: whoever knows it can say the same. */
  readonly url: string
  readonly body: string
  readonly contentType: string
  readonly userAgent: string
  /** Once it is aborted, nothing is tried again. */
  readonly enough?: AbortSignal | undefined
  /** Longest time for one try, in ms. Default 10 s. */
  readonly deadline?: number | undefined
}

const DEADLINE_MS = 10_000
/** Waits before the second and the third try, in ms. */
const WAITS_MS = [500, 1_500]

/**
 * Posts an announcement, three times at most; no redirect is followed, since what is told is for the named service alone.
 * @returns why it was not delivered, without the URL; undefined if it was
 */
export async function announce(announcement: Announcement): Promise<string | undefined> {
  const { enough } = announcement
  for (let attempt = 1; ; attempt++) {
    const { problem, isFinal } = await tryOnce(announcement)
    const wait = WAITS_MS[attempt - 1]
    if (problem === undefined || isFinal || wait === undefined || enough?.aborted) return problem
    await sleep(wait, undefined, { ...(enough && { signal: enough }) }).catch(() => {})
    if (enough?.aborted) return problem
  }
}

interface Attempt {
  readonly problem?: string
  /** Whether trying again is of no use. */
  readonly isFinal?: boolean
}

async function tryOnce(announcement: Announcement): Promise<Attempt> {
  const { url, body, contentType, userAgent, deadline = DEADLINE_MS } = announcement
  const { host } = new URL(url)
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': contentType, 'user-agent': userAgent },
      body,
      signal: AbortSignal.timeout(deadline),
    })
    const { status, ok } = response
    await response.body?.cancel()
    if (ok) return {}
    return { problem: `${host}: HTTP ${status}`, isFinal: status < 500 && status !== 429 }
  } catch (error) {
    return { problem: `${host}: ${reasonOf(error, deadline)}` }
  }
}

function reasonOf(error: unknown, deadline: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return `no answer in ${deadline / 1000} s`
  }
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return errnoOf(cause) ?? messageOf(cause)
}

/** Returns the URL with a further part at the end of its path: a query stays behind it. */
export function withPath(text: string, part: string): string {
  const url = new URL(text)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${part}`
  return url.href
}
