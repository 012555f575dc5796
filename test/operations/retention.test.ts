import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyRules, hasRule, type KeepRules } from '../../src/operations/retention.ts'

const NOW = new Date('2026-06-01T00:00:00Z')

const setsAt = (...times: readonly string[]) =>
  times.map((time) => ({ name: time, time: new Date(`${time}Z`) }))

/** The times of the sets that rules keep, newest first, with the rules. */
function kept(rules: KeepRules, times: readonly string[]): string[] {
  const found = applyRules(setsAt(...times), rules, NOW)
  return [...found]
    .map(([name, names]) => `${name} ${names.join(' ')}`)
    .sort()
    .reverse()
}

const days = (first: number, count: number) =>
  Array.from({ length: count }, (_, day) => new Date(Date.UTC(2024, 0, first + day, 3)))

describe('applyRules', () => {
  it('keeps the newest sets', () => {
    const times = ['2024-01-01T00:00', '2024-01-03T00:00', '2024-01-02T00:00']
    expect(kept({ last: 2 }, times)).toEqual(['2024-01-03T00:00 last', '2024-01-02T00:00 last'])
  })

  it('keeps the newest of each hour or day, whatever lies between them', () => {
    const times = ['2024-01-01T10:59', '2024-01-01T11:00', '2024-01-01T11:59', '2024-02-01T00:00']
    expect(kept({ hourly: 2 }, times)).toEqual([
      '2024-02-01T00:00 hourly',
      '2024-01-01T11:59 hourly',
    ])
    expect(kept({ daily: 2 }, times)).toEqual(['2024-02-01T00:00 daily', '2024-01-01T11:59 daily'])
  })

  it('begins weeks on Monday, across the turn of the year', () => {
    // 30 December 2024 is a Monday, and begins week 1 of 2025.
    const times = ['2024-12-29T23:59', '2024-12-30T00:00', '2025-01-05T23:59', '2025-01-06T00:00']
    expect(kept({ weekly: 3 }, times)).toEqual([
      '2025-01-06T00:00 weekly',
      '2025-01-05T23:59 weekly',
      '2024-12-29T23:59 weekly',
    ])
  })

  it('keeps months and years by their names in UTC', () => {
    const times = ['2023-12-31T23:59', '2024-01-01T00:00', '2024-01-31T00:00', '2024-02-29T00:00']
    expect(kept({ monthly: 2 }, times)).toEqual([
      '2024-02-29T00:00 monthly',
      '2024-01-31T00:00 monthly',
    ])
    expect(kept({ yearly: 1 }, times)).toEqual(['2024-02-29T00:00 yearly'])
  })

  it('keeps the oldest while a count is not used up', () => {
    const times = ['2024-01-01T00:00', '2024-01-01T01:00', '2024-01-02T00:00']
    expect(kept({ yearly: 2 }, times)).toEqual([
      '2024-01-02T00:00 yearly',
      '2024-01-01T00:00 yearly',
    ])
    expect(kept({ daily: 2 }, times)).toEqual(['2024-01-02T00:00 daily', '2024-01-01T01:00 daily'])
  })

  it('goes by the newest set for a duration, not by the clock', () => {
    const times = ['2024-01-01T00:00', '2024-01-01T12:00', '2024-01-02T00:00']
    expect(kept({ within: 12 * 3_600_000 }, times)).toEqual([
      '2024-01-02T00:00 within',
      '2024-01-01T12:00 within',
    ])
  })

  it('does not let a set of the future count as the newest', () => {
    const times = ['2024-01-01T00:00', '2024-01-01T12:00', '2099-01-01T00:00']
    expect(kept({ within: 1 }, times)).toEqual([
      '2099-01-01T00:00 within',
      '2024-01-01T12:00 within',
    ])
    expect(kept({ within: 1 }, ['2098-01-01T00:00', '2099-01-01T00:00'])).toHaveLength(2)
    expect(kept({ within: 1 }, [])).toEqual([])
  })

  it('thins out a year of nights as people expect', () => {
    const nights = days(1, 366).map((time) => ({ name: time.toISOString().slice(0, 10), time }))
    const found = applyRules(nights, { daily: 3, weekly: 2, monthly: 3 }, NOW)
    expect([...found.keys()].sort()).toEqual([
      '2024-10-31',
      '2024-11-30',
      '2024-12-29',
      '2024-12-30',
      '2024-12-31',
    ])
    expect(found.get('2024-12-31')).toEqual(['daily', 'weekly', 'monthly'])
  })

  it('keeps at least the newest set, never more than the counts allow, and the same in any order', () => {
    const count = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined })
    const rules = fc.record({
      ...{ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count },
      within: fc.option(fc.integer({ min: 1, max: 1e10 }), { nil: undefined }),
    })
    const minutes = fc.uniqueArray(fc.integer({ min: 0, max: 2_000_000 }), { minLength: 1 })
    fc.assert(
      fc.property(rules, minutes, (keep, at) => {
        fc.pre(hasRule(keep))
        const sets = at.map((minute) => ({ name: `${minute}`, time: new Date(minute * 60_000) }))
        const found = applyRules(sets, keep, NOW)
        expect(found.has(`${Math.max(...at)}`)).toBe(true)
        for (const [rule, limit] of Object.entries(keep)) {
          const by = [...found.values()].filter((names) => names.some((name) => name === rule))
          if (rule !== 'within') expect(by.length).toBeLessThanOrEqual(limit ?? 0)
          if (rule === 'last') expect(by.length).toBe(Math.min(limit ?? 0, sets.length))
        }
        const again = applyRules(sets.toReversed(), keep, NOW)
        expect(again).toEqual(found)
      }),
    )
  })

  it('never lets go of a set sooner for a greater count', () => {
    const rule = fc.constantFrom('hourly' as const, 'daily' as const, 'weekly' as const)
    const minutes = fc.uniqueArray(fc.integer({ min: 0, max: 100_000 }), { minLength: 2 })
    fc.assert(
      fc.property(rule, fc.integer({ min: 1, max: 20 }), minutes, (name, limit, at) => {
        const sets = at.map((minute) => ({ name: `${minute}`, time: new Date(minute * 60_000) }))
        const few = applyRules(sets, { [name]: limit }, NOW)
        const more = applyRules(sets, { [name]: limit + 1 }, NOW)
        for (const set of few.keys()) expect(more.has(set)).toBe(true)
      }),
    )
  })
})
