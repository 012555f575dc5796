import { createHook } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { readFile } from '../../src/age/file.ts'
import {
  identitiesOf,
  NOBODY,
  parseIdentityLines,
  parseRecipientLines,
  passphraseRecipient,
  recipientsOf,
} from '../../src/age/keys.ts'
import { rejected, thrown } from '../protocol/thrown.ts'
import {
  bytesOf,
  decrypted,
  encrypted,
  fixture,
  identityIn,
  inChunks,
  recipientsIn,
  someBytes,
} from './files.ts'

const PASSPHRASE = 'correct horse battery staple'
const SMALL = 'a little of everything\n'

describe('files of the age tool', () => {
  it('open with their key', async () => {
    expect((await decrypted(fixture('small.age'))).toString()).toBe(SMALL)
    expect((await decrypted(fixture('empty.age'))).length).toBe(0)
    const exact = await decrypted(fixture('65536.age'))
    expect(exact.equals(someBytes(65_536))).toBe(true)
  })

  it('open with any of several keys', async () => {
    for (const key of ['key.txt', 'other-key.txt']) {
      expect((await decrypted(fixture('two-recipients.age'), key)).toString()).toBe(SMALL)
    }
  })

  it('open with their passphrase', async () => {
    const identities = await identitiesOf({ passphrase: PASSPHRASE })
    const file = inChunks(fixture('passphrase.age'))
    expect((await bytesOf(readFile(identities, file, 'a.age'))).toString()).toBe(SMALL)
  })
})

describe('a wrong or missing key', () => {
  it('is said, with what the file wants', async () => {
    const other = await rejected(decrypted(fixture('small.age'), 'other-key.txt'))
    expect(other.code).toBe('E_KEY')
    expect(other.message).toBe('a.age is encrypted: none of the given keys opens it')
    expect(other.hint).toBe('it wants one key of type "X25519": --identity FILE')
    const none = await rejected(
      bytesOf(readFile(NOBODY, inChunks(fixture('two-recipients.age')), 'a.age')),
    )
    expect(none.code).toBe('E_KEY')
    expect(none.message).toBe('a.age is encrypted: no key was given')
    expect(none.hint).toBe('it wants any of 2 keys of type "X25519": --identity FILE')
  })

  it('is said for a passphrase', async () => {
    const recipients = await passphraseRecipient('right', 10)
    const file = await encrypted(recipients, Buffer.from('x'))
    for (const identities of [
      await identitiesOf({ passphrase: 'wrong' }),
      await identityIn('key.txt'),
    ]) {
      const error = await rejected(bytesOf(readFile(identities, inChunks(file), 'a.age')))
      expect(error.code).toBe('E_KEY')
      expect(error.hint).toContain('--passphrase-file')
    }
  })
})

describe('passphraseRecipient', () => {
  it('gives files that open with it alone', async () => {
    const recipients = await passphraseRecipient(PASSPHRASE, 10)
    const file = await encrypted(recipients, someBytes(1000))
    const identities = await identitiesOf({ passphrase: PASSPHRASE })
    const got = await bytesOf(readFile(identities, inChunks(file), 'a.age'))
    expect(got.equals(someBytes(1000))).toBe(true)
    expect(recipients.names).toEqual(['passphrase'])
  })

  it('hashes it once for all files that are written, and once for each header that is read', async () => {
    let hashes = 0
    const hook = createHook({
      init: (_, type) => {
        if (type === 'SCRYPTREQUEST') hashes += 1
      },
    }).enable()
    try {
      const recipients = await passphraseRecipient(PASSPHRASE, 10)
      const contents = Array.from({ length: 50 }, (_, i) => someBytes(i + 1))
      const files = await Promise.all(contents.map((bytes) => encrypted(recipients, bytes)))
      expect(hashes).toBe(1)
      const [header = ''] = files.map((file) => file.toString('latin1').split('\n--- ')[0])
      const nonces = files.map((file, i) => file.subarray(-16 - (i + 1) - 16, -16 - (i + 1)))
      expect(new Set(nonces.map((nonce) => nonce.toString('hex'))).size).toBe(files.length)
      expect(files.every((file) => file.toString('latin1').startsWith(header))).toBe(true)
      const identities = await identitiesOf({ passphrase: PASSPHRASE })
      const read = (file: Buffer) => bytesOf(readFile(identities, inChunks(file), 'a.age'))
      expect(await Promise.all(files.map(read))).toEqual(contents)
      expect(hashes).toBe(2)
      await read(await encrypted(await passphraseRecipient(PASSPHRASE, 10), someBytes(1)))
      expect(hashes).toBe(4)
    } finally {
      hook.disable()
    }
  })

  it.each([
    ['$1 21\n$2', 'work factor 21 of the passphrase, expected at most 20'],
    ['$1 010\n$2', 'no stanza of a passphrase'],
    ['$1\n$2', 'no stanza of a passphrase'],
    ['$1 10 3\n$2', 'no stanza of a passphrase'],
    ['$1AAA 10\n$2', 'no stanza of a passphrase'],
    ['$1 10\nAAAA', 'no stanza of a passphrase'],
    ['-> X25519 AAAA\n\n$1 10\n$2', undefined],
    ['$1 10\n$2\n-> X25519 AAAA\n', 'a passphrase must be the only recipient'],
  ])('does no work for a header with %j', async (stanza, message) => {
    const file = await encrypted(await passphraseRecipient('p', 10), Buffer.from('x'))
    const text = file.toString('latin1').replace(/(-> scrypt \S+) 10\n(\S+)/, stanza)
    const identities = await identitiesOf({ passphrase: 'p' })
    const damaged = inChunks(Buffer.from(text, 'latin1'))
    const error = await rejected(bytesOf(readFile(identities, damaged, 'a.age')))
    expect(error.code).toBe(message === undefined ? 'E_KEY' : 'E_FORMAT')
    if (message !== undefined) expect(error.message).toBe(`a.age: age header: ${message}`)
  })
})

describe('recipientsOf', () => {
  it('writes files for all of them', async () => {
    const file = await encrypted(await recipientsIn('recipients.txt'), someBytes(10))
    for (const key of ['key.txt', 'other-key.txt']) {
      expect((await decrypted(file, key)).equals(someBytes(10))).toBe(true)
    }
  })

  it('gives each a name that does not tell it', async () => {
    const { names } = await recipientsIn('recipients.txt')
    expect(names.every((name) => /^[0-9a-f]{16}$/.test(name))).toBe(true)
    const [one] = (await recipientsIn('recipient.txt')).names
    expect(names).toContain(one)
  })

  it('takes one that is given twice once', async () => {
    const [line = ''] = parseRecipientLines(fixture('recipient.txt').toString(), 'file')
    expect((await recipientsOf([line, line])).names.length).toBe(1)
  })

  it('refuses none, too many, and one with a wrong check sum', async () => {
    expect((await rejected(recipientsOf([]))).message).toBe('no recipient to encrypt to')
    const many = Array.from({ length: 65 }, (_, i) => `age1${i}`)
    expect((await rejected(recipientsOf(many))).message).toContain('expected at most 64')
    const [line = ''] = parseRecipientLines(fixture('recipient.txt').toString(), 'file')
    const wrong = `${line.slice(0, -1)}${line.endsWith('q') ? 'p' : 'q'}`
    const error = await rejected(recipientsOf([wrong]))
    expect(error.code).toBe('E_USAGE')
    expect(error.message).toContain(wrong)
  })

  it('knows keys that quantum computers do not break', async () => {
    const { generateHybridIdentity, identityToRecipient } = await import('age-encryption')
    const key = await generateHybridIdentity()
    const lines = parseRecipientLines(await identityToRecipient(key), 'file')
    const file = await encrypted(await recipientsOf(lines), someBytes(5))
    const identities = await identitiesOf({ keys: parseIdentityLines(key, 'file') })
    const got = await bytesOf(readFile(identities, inChunks(file), 'a.age'))
    expect(got.equals(someBytes(5))).toBe(true)
  })
})

describe('the lines of key files', () => {
  it('may be comments or empty', () => {
    expect(parseRecipientLines(fixture('recipients.txt').toString(), 'file').length).toBe(2)
    expect(
      parseIdentityLines(fixture('key.txt').toString().replaceAll('\n', '\r\n'), 'file'),
    ).toEqual([expect.stringMatching(/^AGE-SECRET-KEY-1/)])
  })

  it('are refused by number, and a secret is not repeated', () => {
    const secret = fixture('key.txt').toString()
    const error = thrown(() => parseRecipientLines(secret, 'file'))
    expect(error.message).toBe('file, line 3: a secret key, expected a recipient (age1...)')
    const cases: [() => unknown, string][] = [
      [
        () => parseRecipientLines('# x\nssh-ed25519 AAAA', 'f'),
        'f, line 2: no recipient of age (age1...)',
      ],
      [
        () => parseIdentityLines('AGE-SECRET-KEY-1abc', 'f'),
        'f, line 1: no secret key of age (AGE-SECRET-KEY-...)',
      ],
      [
        () => parseIdentityLines('AGE-PLUGIN-YUBIKEY-1', 'f'),
        'f, line 1: a key of a plugin (AGE-SECRET-KEY-...)',
      ],
      [
        () => parseIdentityLines(fixture('small.age').toString('latin1'), 'f'),
        'f is encrypted itself',
      ],
    ]
    for (const [run, message] of cases) {
      expect(thrown(run).message).toBe(message)
      expect(thrown(run).code).toBe('E_USAGE')
    }
  })

  it('must have a right check sum', async () => {
    const [key = ''] = parseIdentityLines(fixture('key.txt').toString(), 'file')
    const wrong = `${key.slice(0, -1)}${key.endsWith('Q') ? 'P' : 'Q'}`
    const error = await rejected(identitiesOf({ keys: [wrong] }))
    expect(error.code).toBe('E_USAGE')
    expect(error.message).not.toContain(wrong)
  })
})
