// Restores to a running influxd, with and without reading back what it then has.
import { query } from './influxd.mjs'
import { ratioRow } from './measure.mjs'

export async function restore(context) {
  const { snap, stock, server: started, setOf, stockSet, startUp } = context
  const server = await started()
  const [set, theirSet] = [await setOf('gzip'), await stockSet()]
  const { host, url } = server
  const to = ['restore', '--quiet', '--host', host, '--http', url, '--db', 'd', '--newdb', 'r']
  const portable = ['restore', '-portable', '-host', host, '-db', 'd', '-newdb', 'r']
  /** The database is made anew each time. */
  const fresh = (run) => async () => {
    const cost = await run()
    await query(server, 'DROP DATABASE r')
    return cost
  }
  const { theirs, quick, checked } = await context.alternate({
    theirs: fresh(() => stock([...portable, theirSet])),
    quick: fresh(() => snap([...to, '--no-readback', set])),
    checked: fresh(() => snap([...to, set])),
  })
  const facts = { against: 'influxd restore -portable', theirs, startUp }
  return [
    ratioRow('restore, no read-back', { ...facts, ours: quick, atMost: 0.8 }),
    ratioRow('restore with read-back', { ...facts, ours: checked, atMost: 1.3 }),
  ]
}
