// A program of one command that waits until it is stopped, and cleans up for as long as its argument says.
import { pathToFileURL } from 'node:url'

const [, , dist, cleanup] = process.argv
const load = (name) => import(pathToFileURL(`${dist}/cli/${name}.js`).href)
const { buildProgram, runCli } = await load('program')
const { runCommand } = await load('run')

const context = {
  argv: ['wait'],
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  setExitCode: (exitCode) => {
    process.exitCode = exitCode
  },
  exitNow: (exitCode) => process.exit(exitCode),
}
const program = buildProgram(context)
const command = program.command('wait')
command.action(() =>
  runCommand(context, command, async ({ signal }) => {
    process.stdout.write('waiting\n')
    const alive = setInterval(() => {}, 1000)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    process.stdout.write('cleaning\n')
    await new Promise((resolve) => setTimeout(resolve, Number(cleanup)))
    clearInterval(alive)
    throw signal.reason
  }),
)
await runCli(context, program)
