import { isIPv6 } from 'node:net'
import { formatAddress, parseAddress } from '../client/address.ts'
import { SnapError } from '../errors.ts'
import type { ValueParser } from './options.ts'

function refuse(name: string, expected: string, text: string, hint?: string): never {
  throw new SnapError(
    'E_USAGE',
    `${name}: expected ${expected}, got ${JSON.stringify(text)}`,
    hint === undefined ? {} : { hint },
  )
}

/** Reads a text that is not empty: a name, a path. */
export function parseText(text: string, name: string): string {
  return text === '' ? refuse(name, 'a value', text) : text
}

/** Reads a new name of a database or policy: influxd takes none with a slash, a backslash or what cannot be printed. */
export function parseNewName(text: string, name: string): string {
  const isUsable = !['', '.', '..'].includes(text) && !/[/\\\p{Cc}\p{Cs}]/u.test(text)
  return isUsable ? text : refuse(name, 'a name that a directory can have', text)
}

/** Reads the URL of an HTTP server; secrets do not belong into it. */
export function parseUrl(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (!isHttp) return refuse(name, 'a URL as https://host:port', text)
  if (url.username === '' && url.password === '') return text
  throw new SnapError('E_USAGE', `${name}: a user or password does not belong into the URL`)
}

/** Returns a parser that takes one of `words`, which are its `choices`. */
export function oneOf<const W extends string>(
  ...words: readonly W[]
): ValueParser<W> & { readonly choices: readonly W[] } {
  const parse: ValueParser<W> = (text, name) =>
    words.find((word) => word === text) ?? refuse(name, words.join(' or '), text)
  return Object.assign(parse, { choices: words })
}

/** Returns a parser of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): ValueParser<number> {
  return (text, name) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    return value >= min && value <= max
      ? value
      : refuse(name, `a whole number from ${min} to ${max}`, text)
  }
}

/** Reads a share above zero of a hundred: `10%`, `0.5%`. */
export function parsePercent(text: string, name: string): number {
  const percent = Number(/^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text)?.[1] ?? Number.NaN)
  return percent > 0 && percent <= 100
    ? percent
    : refuse(name, 'a share from 0% to 100% as 10%', text)
}

const MAX_UINT64 = 2n ** 64n - 1n

/** Reads a shard id: a whole number up to 2^64 - 1, exactly. Shard ids begin at 1. */
export function parseShardId(text: string, name: string): bigint {
  const id = /^\d{1,20}$/.test(text) ? BigInt(text) : 0n
  return id > 0n && id <= MAX_UINT64
    ? id
    : refuse(name, 'a shard id (a whole number above zero)', text)
}

const SIZE = /^(\d{1,15}(?:\.\d{1,6})?)\s?([kmgtp]?)(i?b)?$/i
const POWERS = ['', 'k', 'm', 'g', 't', 'p']

function sizeOf(text: string): number | undefined {
  const [, digits, unit = '', suffix = ''] = SIZE.exec(text) ?? []
  if (digits === undefined || (unit === '' && /i/i.test(suffix))) return undefined
  // As in most tools: 10M and 10MiB are binary, 10MB is decimal.
  const base = suffix.toLowerCase() === 'b' ? 1000 : 1024
  const bytes = Math.round(Number(digits) * base ** POWERS.indexOf(unit.toLowerCase()))
  return bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined
}

/** Reads a size above zero in bytes: `64MiB` and `64M` are binary, `64MB` decimal, a bare number is bytes. */
export function parseSize(text: string, name: string): number {
  return sizeOf(text) ?? refuse(name, 'a size as 64MiB, 10M or 512k', text)
}

/** Reads a rate in bytes per second: a size, `/s` behind it or not. */
export function parseRate(text: string, name: string): number {
  return sizeOf(text.replace(/\/s$/, '')) ?? refuse(name, 'a rate as 10MiB/s or 500k', text)
}

/** Reads the address of a server and writes it with its port, 8088 if none is given. */
export function parseHost(text: string, name: string): string {
  try {
    return formatAddress(parseAddress(text))
  } catch {
    const hint = text.includes('://')
      ? 'give host and port alone: the snapshotter protocol is not HTTP'
      : undefined
    return refuse(name, 'host:port', text, hint)
  }
}

/** An address to listen on. */
export interface BindAddress {
  /** Empty: every address of this machine. */
  readonly host: string
  /** 0: a free one. */
  readonly port: number
}

const BIND = /^(?:\[([^[\]]+)\]|([^:[\]\s]*)):(\d{1,5})$/

/** Reads an address to listen on as influxd does: `host:port`, `[v6]:port`, or `:port` for every address. */
export function parseBind(text: string, name: string): BindAddress {
  const [, bracketed, plain, digits] = BIND.exec(text) ?? []
  const port = Number(digits)
  const valid = bracketed === undefined ? plain !== undefined : isIPv6(bracketed)
  if (!valid || port > 65_535) return refuse(name, 'host:port', text)
  return { host: bracketed ?? plain ?? '', port }
}

/** Writes an address the way {@link parseBind} reads it. */
export function formatBind({ host, port }: BindAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
