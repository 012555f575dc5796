// Points as text from a data directory, beside what any program pays for writing and compressing as much text.
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { rateRow, row, timed } from './measure.mjs'

/** What influx_inspect export does on two such cores, M values/s: it is not packaged, so it does not run beside us. */
const INSPECT = { text: 1.7, gzip: 0.58 }

export async function exportText({ snap, at, alternate, data, startUp }) {
  const from = ['export', '--quiet', '--format', 'lp', '--data-dir', join(data.folder, 'data')]
  const [text, zipped, copy] = ['text.lp', 'text.lp.gz', 'copy'].map((name) => at(name))
  await snap([...from, text])
  const { size } = await stat(text)
  const removed = (path, run) => async () => {
    const cost = await run()
    await rm(path)
    return cost
  }
  const again = at('again.lp')
  const costs = await alternate({
    text: removed(again, () => snap([...from, again])),
    zipped: removed(zipped, () => snap([...from, zipped])),
    cat: removed(copy, () => timed('cat', [text], { output: copy })),
    gzip: removed(copy, () => timed('gzip', ['-1', '-c', text], { output: copy })),
  })
  await rm(text)
  const amount = data.values / 1e6
  const rate = { amount, unit: 'M values/s', startUp }
  const mebibytes = (cost) => ({ ours: cost, amount: size / 1e6, unit: 'MB/s of text' })
  return [
    rateRow('export --format lp', {
      ...{ ...rate, against: '3 × influx_inspect export', ours: costs.text },
      atLeast: 3 * INSPECT.text,
    }),
    rateRow('export --format lp, .gz', {
      ...{ ...rate, against: '4 × influx_inspect export -compress', ours: costs.zipped },
      atLeast: 4 * INSPECT.gzip,
    }),
    rateRow('  the text through cat', mebibytes(costs.cat)),
    rateRow('  the text through gzip -1', mebibytes(costs.gzip)),
    row('  the text', { figure: size / 1e6, unit: 'MB' }),
  ]
}
