import { expect, it } from 'vitest'
import { launch, run } from './run.ts'

it('returns what a program said and its exit code', async () => {
  const script = 'read x; echo "out $x"; echo err >&2; exit 3'
  const finished = await run('sh', ['-c', script], { stdin: 'in\n' })
  expect(finished).toEqual({ code: 3, signal: undefined, stdout: 'out in\n', stderr: 'err\n' })
})

it('waits for a word and kills', async () => {
  const running = launch('sh', ['-c', 'echo ready 7; exec sleep 60'])
  expect((await running.until(/ready (\d)/))[1]).toBe('7')
  running.kill()
  expect(await running.finished).toMatchObject({ code: undefined, signal: 'SIGTERM' })
})

it('fails for a program that ends without the word, takes too long or is not there', async () => {
  await expect(launch('sh', ['-c', 'echo other']).until(/ready/)).rejects.toThrow(/other/)
  await expect(run('sleep', ['60'], { timeout: 50 })).rejects.toThrow(/not done after 50 ms/)
  await expect(run('/no/such/program', [])).rejects.toThrow(/ENOENT/)
})
