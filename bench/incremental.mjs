// A night in which one of some twenty shards changed.
import { rm } from 'node:fs/promises'
import { startWith } from './data.mjs'
import { write } from './influxd.mjs'
import { ratioRow } from './measure.mjs'

/** What is written a night: rows of each host. */
const ROWS = 20

export async function incremental({ influxd, snap, stock, at, data, alternate, startUp }) {
  const server = await startWith({ influxd }, data, at('nightly'))
  try {
    const { host, url } = server
    const nightly = ['backup', '--quiet', '--incremental', '--host', host, '--http', url]
    await snap([...nightly, at('nights')])
    let night = 0
    const costs = await alternate({
      ours: async () => {
        await changeOne(server, data, night++)
        return await snap([...nightly, at('nights')])
      },
      theirs: async () => {
        await changeOne(server, data, night++)
        const cost = await stock(['backup', '-portable', '-host', host, at('full')])
        await rm(at('full'), { recursive: true })
        return cost
      },
    })
    return [
      ratioRow(`nightly incremental, 1 of ${data.shards} shards changed`, {
        ...{ against: 'influxd backup -portable', ...costs, startUp, atMost: 0.1 },
      }),
    ]
  } finally {
    await server.stop()
    await rm(at('nightly'), { recursive: true })
    await rm(at('nights'), { recursive: true, force: true })
  }
}

/** Writes further points into the last shard, which has room after the others. Who asks for them has them flushed first. */
async function changeOne(server, { hosts, step, end }, night) {
  const rows = Array.from({ length: ROWS }, (_, i) => end + (night * ROWS + i) * step)
  const lines = rows.flatMap((time, i) =>
    Array.from({ length: hosts }, (_, host) => {
      const tags = `host=host${host},region=r${host % 5}`
      return `cpu,${tags} user=${i}.5,system=1,idle=2,n=${i}i,up=true,state="new" ${time}`
    }),
  )
  await write(server, lines)
}
