import { SnapError } from '../errors.ts'

/** What both sides agree on in TLS (ALPN) when the conversation begins with a token line. */
export const DOOR_PROTOCOL = 'snap/1'

/** The longest token line, newline included, in bytes. */
export const MAX_TOKEN_LINE = 4096

const SCHEME = 'Bearer '
/** What a token is made of: printable ASCII without the space. */
const TOKEN = /^[\x21-\x7e]*$/

/**
 * Returns the line that stands before the multiplexer byte. A client that has no token sends the line with an empty one.
 * @throws SnapError `E_USAGE` if `token` has other characters than printable ASCII, or is too long. It never quotes it.
 */
export function encodeTokenLine(token: string): Uint8Array {
  const line = `${SCHEME}${token}\n`
  if (TOKEN.test(token) && line.length <= MAX_TOKEN_LINE) return Buffer.from(line, 'latin1')
  const longest = MAX_TOKEN_LINE - SCHEME.length - 1
  throw new SnapError(
    'E_USAGE',
    `token: expected at most ${longest} printable ASCII characters without spaces`,
  )
}

/**
 * Returns the token in a token line, newline included; empty if the client has none.
 * @throws SnapError `E_PROTOCOL` if it is no such line. It never quotes it: most of it may be a token.
 */
export function decodeTokenLine(line: Uint8Array): string {
  const text = Buffer.from(line).toString('latin1')
  const token = text.slice(SCHEME.length, -1)
  if (text === `${SCHEME}${token}\n` && TOKEN.test(token)) return token
  throw new SnapError('E_PROTOCOL', `expected a line "${SCHEME}TOKEN"`)
}

/**
 * Returns the tokens of a file: one a line, empty lines and those that begin with `#` passed over.
 * @param name names the file in messages
 * @throws SnapError `E_USAGE` if there is none, or one that cannot be sent
 */
export function parseTokens(text: string, name: string): readonly [string, ...string[]] {
  const lines = text.split('\n').map((line, index) => ({ token: line.trim(), line: index + 1 }))
  const tokens = lines.filter(({ token }) => token !== '' && !token.startsWith('#'))
  const wrong = tokens.find(({ token }) => !isSendable(token))
  if (wrong !== undefined) {
    throw new SnapError('E_USAGE', `${name}: line ${wrong.line} is no token`, {
      hint: 'a token is printable ASCII without spaces; make one with: openssl rand -hex 32',
    })
  }
  const [first, ...rest] = tokens.map(({ token }) => token)
  if (first !== undefined) return [first, ...rest]
  throw new SnapError('E_USAGE', `${name}: there is no token in it`, {
    hint: 'make one with: openssl rand -hex 32',
  })
}

function isSendable(token: string): boolean {
  return TOKEN.test(token) && SCHEME.length + token.length < MAX_TOKEN_LINE
}
