// Proofs of a set in a directory.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { rateRow, row, timed, without } from './measure.mjs'

export async function verify({ snap, setOf, alternate, startUp, data }) {
  const set = await setOf('none')
  const files = (await readdir(set)).map((name) => join(set, name))
  const words = ['verify', '--quiet', '--no-record']
  const costs = await alternate({
    hash: () => timed('sha256sum', files),
    verify: () => snap([...words, set]),
    deep: () => snap([...words, '--deep', set]),
  })
  const { hash, deep } = costs
  const ours = without(startUp, costs.verify)
  const figure = (100 * hash.seconds) / ours.seconds
  return [
    row('verify', {
      ...{ against: 'sha256sum', ours, theirs: hash, figure, unit: '% of its rate', atLeast: 60 },
    }),
    rateRow('verify --deep', {
      ...{ ours: deep, amount: data.values / 1e6, unit: 'M values/s', startUp, atLeast: 25 },
    }),
  ]
}
