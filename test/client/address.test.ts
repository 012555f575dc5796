import { describe, expect, it } from 'vitest'
import { formatAddress, parseAddress } from '../../src/client/index.ts'
import { thrown } from '../protocol/thrown.ts'

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:8088', '127.0.0.1', 8088],
    ['influx.example', 'influx.example', 8088],
    ['influx.example:1', 'influx.example', 1],
    ['[::1]:9000', '::1', 9000],
    ['[fe80::1%eth0]', 'fe80::1%eth0', 8088],
    ['::1', '::1', 8088],
    ['2001:db8::8088', '2001:db8::8088', 8088],
    [':8089', 'localhost', 8089],
  ])('reads %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port })
  })

  it.each([
    '',
    'a:b',
    'a:0',
    'a:65536',
    'a:1:2',
    '[::1',
    '::1]',
    '[a]:1',
    '[]:1',
    'a b',
    'a:',
    'http://a:1',
  ])('refuses %j', (text) => {
    expect(thrown(() => parseAddress(text)).code).toBe('E_USAGE')
  })
})

describe('formatAddress', () => {
  it.each(['127.0.0.1:8088', '[::1]:9000', 'a:1'])('writes %s as it was read', (text) => {
    expect(formatAddress(parseAddress(text))).toBe(text)
  })
})
