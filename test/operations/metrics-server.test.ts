import { expect, it, onTestFinished } from 'vitest'
import { openMetricsServer } from '../../src/operations/metrics-server.ts'

it('answers that figures cannot be had, and goes on', async () => {
  let isBroken = true
  const text = async () => {
    if (isBroken) throw new Error('no figures')
    return 'figures'
  }
  const pages = { contentType: 'text/plain', text }
  const server = await openMetricsServer({ host: '127.0.0.1', port: 0 }, pages)
  onTestFinished(server.close)
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`)
    return [answer.status, await answer.text()]
  }
  expect(await ask()).toEqual([500, 'no figures\n'])
  isBroken = false
  expect(await ask()).toEqual([200, 'figures'])
})
