// The start of the program, where it does nothing else.
import { row, timed } from './measure.mjs'

export async function startUp({ snap, alternate }) {
  const { node, version, help } = await alternate({
    node: () => timed(process.execPath, ['-e', '0']),
    version: () => snap(['--version']),
    help: () => snap(['--help']),
  })
  return Object.entries({ version, help }).map(([name, ours]) =>
    row(`snap --${name}`, {
      ...{ against: 'node -e 0', ours, theirs: node, figure: ours.seconds - node.seconds },
      ...{ unit: 's over it', atMost: 0.15 },
    }),
  )
}
