import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { describe, it } from 'vitest'
import { findChromium, HOW_TO_GET_CHROMIUM } from './chromium-binary.ts'
import { tempDir } from './temp.ts'
import { guardProcess } from './warden.ts'

/**
 * `describe` for suites that need a real browser. Without one they are skipped, saying in one line how to get it; with
 * `CI=true` they fail, so that a build cannot be green by leaving them out.
 */
export function describeWithChromium(title: string, body: () => void): void {
  if (findChromium() !== undefined) {
    describe(title, body)
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('needs a Chromium', () => {
        throw new Error(`no Chromium: ${HOW_TO_GET_CHROMIUM}`)
      })
    })
  } else {
    describe.skip(`${title} (no Chromium: ${HOW_TO_GET_CHROMIUM})`, body)
  }
}

type Json = Readonly<Record<string, unknown>>

/** How a page is looked at. */
export interface Look {
  readonly width: number
  readonly height: number
  readonly scheme?: 'light' | 'dark' | undefined
}

/** A browser with one page. */
export interface Browser {
  /** Opens a file and returns once it is loaded. */
  open(path: string, look: Look): Promise<void>
  /** Looks at the same page in another way. */
  look(look: Look): Promise<void>
  /** Returns the value of an expression in the page, as JSON has it. */
  evaluate(expression: string): Promise<unknown>
  /** All of the page as PNG. */
  screenshot(): Promise<Buffer>
  pdf(): Promise<Buffer>
  /** Calls a method of the DevTools protocol for the page. */
  call(method: string, params?: Json): Promise<Json>
  /** What the page asked the network for since it was opened, itself included; not what its policy forbade. */
  requests(): readonly string[]
  /** What the console and the browser said of the page, violations of its policy too. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run'],
  // Whatever the page wants from the network is not to be had.
  ...[
    '--proxy-server=127.0.0.1:9',
    '--disable-background-networking',
    '--disable-component-update',
  ],
  '--remote-debugging-pipe',
]
const WAIT_MS = 20_000

/** Starts a browser and speaks the DevTools protocol with it through two pipes: JSON that ends with a zero byte. */
export async function startChromium(): Promise<Browser> {
  const profile = await tempDir('chromium')
  const child = spawn(findChromium() ?? '', [...FLAGS, `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  })
  const release = guardProcess(child.pid ?? 0)
  const [, , , input, output] = child.stdio
  if (!(input instanceof Writable) || !(output instanceof Readable)) throw new Error('no pipes')
  const requests = new Map<unknown, string>()
  const complaints: string[] = []
  const waiting = new Map<number, (answer: Json) => void>()
  const loaded = { resolve: () => {} }
  const events: Readonly<Record<string, (params: Json) => unknown>> = {
    'Network.requestWillBeSent': ({ requestId, request }) =>
      requests.set(requestId, textAt(request, 'url')),
    'Network.loadingFailed': ({ requestId, blockedReason }) =>
      blockedReason === 'csp' && requests.delete(requestId),
    'Runtime.consoleAPICalled': ({ args }) => complaints.push(JSON.stringify(args)),
    'Runtime.exceptionThrown': (params) => complaints.push(JSON.stringify(params)),
    'Log.entryAdded': ({ entry }) => complaints.push(textAt(entry, 'text')),
    'Page.loadEventFired': () => loaded.resolve(),
  }
  listen(output, (message) => {
    const { id, method, params } = message
    if (typeof id === 'number') waiting.get(id)?.(message)
    else if (typeof method === 'string') events[method]?.(params as Json)
  })
  let last = 0
  const send = async (message: Json): Promise<Json> => {
    const id = ++last
    const answer = new Promise<Json>((resolve, reject) => {
      waiting.set(id, resolve)
      setTimeout(() => reject(new Error(`no answer to ${message['method']}`)), WAIT_MS).unref()
    })
    input.write(`${JSON.stringify({ id, ...message })}\0`)
    const { error, result } = await answer
    if (error !== undefined) throw new Error(`${message['method']}: ${JSON.stringify(error)}`)
    return result as Json
  }
  const { targetId } = await send({ method: 'Target.createTarget', params: { url: 'about:blank' } })
  const { sessionId } = await send({
    method: 'Target.attachToTarget',
    params: { targetId, flatten: true },
  })
  const call = (method: string, params: Json = {}) => send({ sessionId, method, params })
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await call(`${domain}.enable`)
  const look = async ({ width, height, scheme = 'light' }: Look) => {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 500 }
    await call('Emulation.setDeviceMetricsOverride', metrics)
    const features = [{ name: 'prefers-color-scheme', value: scheme }]
    await call('Emulation.setEmulatedMedia', { features })
  }
  return {
    ...{ complaints, call, look },
    requests: () => [...requests.values()],
    open: async (path, how) => {
      await look(how)
      requests.clear()
      complaints.length = 0
      const done = new Promise<void>((resolve) => {
        loaded.resolve = resolve
      })
      await call('Page.navigate', { url: pathToFileURL(path).href })
      await done
    },
    evaluate: async (expression) => {
      const params = { expression, returnByValue: true, awaitPromise: true }
      const { result, exceptionDetails } = await call('Runtime.evaluate', params)
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return (result as Json)['value']
    },
    screenshot: async () =>
      bytesOf(await call('Page.captureScreenshot', { captureBeyondViewport: true })),
    pdf: async () => bytesOf(await call('Page.printToPDF', { printBackground: true })),
    close: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      release()
    },
  }
}

function listen(output: Readable, onMessage: (message: Json) => void): void {
  let text = ''
  output.setEncoding('utf8')
  output.on('data', (chunk: string) => {
    const messages = (text + chunk).split('\0')
    text = messages.pop() ?? ''
    for (const message of messages) onMessage(JSON.parse(message))
  })
}

function textAt(value: unknown, key: string): string {
  return String((value as Json)[key])
}

function bytesOf({ data }: Json): Buffer {
  return Buffer.from(String(data), 'base64')
}
