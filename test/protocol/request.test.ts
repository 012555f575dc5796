import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeRequest,
  encodeOpening,
  encodeUploadOpening,
  GO_ZERO_TIME,
  JsonNumber,
  MAX_REQUEST_SIZE,
  MAX_UPLOAD_SIZE,
  type ReceivedRequest,
  type Request,
  RequestType,
  toShardId,
} from '../../src/protocol/index.ts'
import { encodeRequest } from '../../src/protocol/request.ts'
import { thrown, valueOrSnapError } from './thrown.ts'

const EMPTY: ReceivedRequest = {
  Type: 0,
  BackupDatabase: '',
  RestoreDatabase: '',
  BackupRetentionPolicy: '',
  RestoreRetentionPolicy: '',
  ShardID: 0n,
  Since: undefined,
  ExportStart: undefined,
  ExportEnd: undefined,
  UploadSize: 0,
  extra: new Map(),
}

function decode(text: string): ReceivedRequest {
  return decodeRequest(Buffer.from(text))
}

function encode(request: Request): string {
  return Buffer.from(encodeRequest(request)).toString()
}

const time = fc.bigInt({ min: GO_ZERO_TIME + 1n, max: 2n ** 63n })
const text = fc.string({ unit: 'binary', maxLength: 20 })
const arbitraryRequest = fc.record(
  {
    Type: fc.constantFrom(...Object.values(RequestType)),
    BackupDatabase: text,
    RestoreDatabase: text,
    BackupRetentionPolicy: text,
    RestoreRetentionPolicy: text,
    ShardID: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    Since: time,
    ExportStart: time,
    ExportEnd: time,
    UploadSize: fc.nat(MAX_UPLOAD_SIZE),
  },
  { requiredKeys: ['Type'] },
)

describe('encodeRequest', () => {
  it('writes all fields in the order of Go, with its zero values', () => {
    expect(encode({ Type: RequestType.ShardBackup })).toBe(
      '{"Type":0,"BackupDatabase":"","RestoreDatabase":"","BackupRetentionPolicy":"",' +
        '"RestoreRetentionPolicy":"","ShardID":0,"Since":"0001-01-01T00:00:00Z",' +
        '"ExportStart":"0001-01-01T00:00:00Z","ExportEnd":"0001-01-01T00:00:00Z","UploadSize":0}\n',
    )
  })

  it('writes every field', () => {
    const json = encode({
      Type: RequestType.MetaStoreUpdate,
      BackupDatabase: 'a<b',
      RestoreDatabase: 'c "d"',
      BackupRetentionPolicy: 'e',
      RestoreRetentionPolicy: 'größe',
      ShardID: 2n ** 64n - 1n,
      Since: 1_450_944_743_500_000_000n,
      ExportStart: -(2n ** 63n) + 2n,
      ExportEnd: 2n ** 63n - 2n,
      UploadSize: 9,
    })
    expect(json).toBe(
      '{"Type":6,"BackupDatabase":"a\\u003cb","RestoreDatabase":"c \\"d\\"","BackupRetentionPolicy":"e",' +
        '"RestoreRetentionPolicy":"größe","ShardID":18446744073709551615,"Since":"2015-12-24T08:12:23.5Z",' +
        '"ExportStart":"1677-09-21T00:12:43.145224194Z","ExportEnd":"2262-04-11T23:47:16.854775806Z",' +
        '"UploadSize":9}\n',
    )
  })

  it.each<[string, Partial<Request>]>([
    ['a negative shard id', { ShardID: -1n }],
    ['a shard id past 64 bits', { ShardID: 2n ** 64n }],
    ['a shard id that a number cannot hold', { ShardID: 2 ** 53 }],
    ['a broken shard id', { ShardID: 1.5 }],
    ['a negative size', { UploadSize: -1 }],
    ['a size past the limit', { UploadSize: MAX_UPLOAD_SIZE + 1 }],
    ['a time that RFC 3339 cannot write', { Since: 2n ** 70n }],
    ['names past the limit', { BackupDatabase: 'x'.repeat(MAX_REQUEST_SIZE) }],
  ])('refuses %s', (_what, fields) => {
    expect(thrown(() => encode({ Type: 0, ...fields })).code).toBe('E_USAGE')
  })
})

describe('decodeRequest', () => {
  it('reads what encodeRequest writes', () => {
    fc.assert(
      fc.property(arbitraryRequest, (request) => {
        expect(decodeRequest(encodeRequest(request))).toEqual({ ...EMPTY, ...request })
      }),
    )
  })

  it('gives Go zero values to what is missing or null', () => {
    expect(decode('{}')).toEqual(EMPTY)
    expect(decode('{"BackupDatabase":null,"ShardID":null,"Since":null}')).toEqual(EMPTY)
    expect(decode('{"Since":"0001-01-01T00:00:00Z"}')).toEqual(EMPTY)
    expect(decode('{"Since":"0000-12-31T23:00:00-01:00"}')).toEqual(EMPTY)
  })

  it('takes names in any case, also the letters that fold to ASCII', () => {
    expect(decode('{"shardid":7,"BACKUPDATABASE":"a"}')).toMatchObject({
      ShardID: 7n,
      BackupDatabase: 'a',
    })
    expect(decode('{"\u017fince":"1970-01-01T00:00:00Z"}').Since).toBe(0n)
    expect(decode('{"Bac\u212aupDatabase":"k"}').BackupDatabase).toBe('k')
  })

  it('lets the last of two win', () => {
    expect(decode('{"ShardID":1,"shardId":2,"ShardID ":3}').ShardID).toBe(2n)
    expect(decode('{"shardID":1,"shardID":5}').ShardID).toBe(5n)
  })

  it('keeps what it does not know', () => {
    const { extra } = decode('{"SnapTrailer":1,"__proto__":["x"],"Type":1}')
    expect([...extra]).toEqual([
      ['SnapTrailer', new JsonNumber('1')],
      ['__proto__', ['x']],
    ])
  })

  it('keeps every digit of a shard id', () => {
    expect(decode('{"ShardID":18446744073709551615}').ShardID).toBe(2n ** 64n - 1n)
    expect(decode('{"ShardID":9007199254740993}').ShardID).toBe(9007199254740993n)
  })

  it('puts U+FFFD for what is no UTF-8 or half a character', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"BackupDatabase":"a'),
      Buffer.from([0xff]),
      Buffer.from('\\ud800b"}'),
    ])
    expect(decodeRequest(bytes).BackupDatabase).toBe('a\ufffd\ufffdb')
  })

  it('takes any offset', () => {
    expect(decode('{"Since":"1970-01-01T01:00:00.5+01:00"}').Since).toBe(500_000_000n)
  })

  it.each([
    '[]',
    'null',
    '"x"',
    '5',
    '{"ShardID":"5"}',
    '{"ShardID":1.0}',
    '{"ShardID":1e3}',
    '{"ShardID":-1}',
    '{"ShardID":-0}',
    '{"ShardID":18446744073709551616}',
    '{"Type":256}',
    '{"Type":{}}',
    '{"BackupDatabase":5}',
    '{"BackupDatabase":["a"]}',
    '{"Since":0}',
    '{"Since":"yesterday"}',
    '{"UploadSize":-1}',
    '{"UploadSize":67108865}',
    '{"UploadSize":9223372036854775807}',
    '{"UploadSize":true}',
    '{"Type":0',
    '{"Type":0}x',
  ])('refuses %s', (json) => {
    expect(thrown(() => decode(json)).code).toBe('E_PROTOCOL')
  })

  it('refuses a request past the limit', () => {
    const json = `{"BackupDatabase":"${'x'.repeat(MAX_REQUEST_SIZE)}"}`
    expect(thrown(() => decode(json)).message).toMatch(/more than 65536 bytes/)
  })

  it('reads or refuses whatever is cut or flipped', () => {
    fc.assert(
      fc.property(arbitraryRequest, fc.nat(), fc.nat(7), (request, at, bit) => {
        const bytes = Buffer.from(encodeRequest(request))
        const cut = bytes.subarray(0, at % (bytes.length - 2))
        expect(thrown(() => decodeRequest(cut)).code).toBe('E_PROTOCOL')
        const index = at % bytes.length
        bytes[index] = (bytes[index] ?? 0) ^ (1 << bit)
        valueOrSnapError(() => decodeRequest(bytes))
      }),
    )
  })
})

describe('encodeOpening', () => {
  it('puts the multiplexer byte and the type before the JSON', () => {
    const request = { Type: RequestType.ShardExport, ShardID: 5 }
    const bytes = encodeOpening(request)
    expect([...bytes.subarray(0, 2)]).toEqual([3, 5])
    expect(decodeRequest(bytes.subarray(2))).toEqual({ ...EMPTY, Type: 5, ShardID: 5n })
  })
})

describe('encodeUploadOpening', () => {
  it('puts the id after the type, big-endian', () => {
    const bytes = Buffer.from(encodeUploadOpening(0x0102_0304_0506_0708n))
    expect(bytes.toString('hex')).toBe('03070102030405060708')
  })
})

describe('toShardId', () => {
  it('takes numbers and bigints', () => {
    expect(toShardId(12)).toBe(12n)
    expect(toShardId(2n ** 64n - 1n)).toBe(2n ** 64n - 1n)
    expect(thrown(() => toShardId(Number.NaN)).code).toBe('E_USAGE')
  })
})
