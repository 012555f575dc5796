import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { describeWithOpenssl } from '../helpers/certificates.ts'
import { snap, snapExpecting } from '../helpers/cli.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { examplesIn } from '../helpers/examples.ts'
import { run } from '../helpers/run.ts'
import { startServe } from '../helpers/serve.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'

const NAME = 'influx.example.com'
const page = await readFile(join(ROOT, 'docs/security.md'), 'utf8')
const examples = examplesIn(page).filter(({ language }) => language === 'bash')

/** The words of the page's example that begins so, without the program. */
function wordsOf(start: string): string[] {
  const line = examples
    .flatMap(({ text }) => text.split('\n'))
    .find((text) => text.startsWith(start))
  return (line ?? '').split(' ').slice(1)
}

/** The words with the value of an option replaced. */
function withValue(words: readonly string[], flag: string, value: string): string[] {
  return words.map((word, at) => (words[at - 1] === flag ? value : word))
}

describeWithOpenssl('docs/security.md', () => {
  let dir: string

  beforeAll(async () => {
    dir = await tempDir('security')
    const made = await run('bash', ['-euo', 'pipefail', '-c', examples[0]?.text ?? ''], {
      cwd: dir,
    })
    expect(made.code, made.stderr).toBe(0)
  })

  /** The words with the files that were made where they are. */
  function located(words: readonly string[]): string[] {
    return words.map((word) => (existsSync(join(dir, word)) ? join(dir, word) : word))
  }

  /** Serves as the page says, on a port of this machine. */
  async function serveAsShown() {
    const { root } = await makeDirectory()
    const words = wordsOf('snap serve --data-dir').slice(1)
    const bound = words.filter((word, at) => word !== '--bind' && words[at - 1] !== '--bind')
    const args = withValue(bound, '--data-dir', join(root, 'data'))
    const served = await startServe(located(args))
    onTestFinished(async () => void (await served.stop()))
    return served
  }

  function backupWords(host: string, target: string): string[] {
    const words = withValue(wordsOf('snap backup'), '--host', host).slice(0, -1)
    return [...located(words), '--tls-server-name', NAME, target]
  }

  it('makes keys that only their owner can read', async () => {
    const { stdout } = await run('stat', ['-c', '%a', 'server.key', 'nightly.key', 'tokens'], {
      cwd: dir,
    })
    expect(stdout.split('\n').slice(0, 3)).toEqual(['600', '600', '600'])
  })

  it('shows a server and a client that work together', async () => {
    const { host, running } = await serveAsShown()
    const target = join(dir, 'sets')
    const { stdout, stderr } = await snapExpecting(0, backupWords(host, target))
    expect(running.output.stderr).toContain('("CN=nightly backup"): MetastoreBackup: answered')
    expect(running.output.stderr).not.toMatch(/lets others|warn/)
    const token = (await readFile(join(dir, 'tokens'), 'utf8')).trim()
    for (const text of [stdout, stderr, running.output.stderr]) expect(text).not.toContain(token)
    for (const name of await filesOf(target)) {
      expect((await readFile(join(target, name))).includes(token)).toBe(false)
    }
  })

  it.runIf(process.platform === 'linux')(
    'keeps the token out of the list of processes',
    async () => {
      const { running } = await serveAsShown()
      const token = (await readFile(join(dir, 'tokens'), 'utf8')).trim()
      const line = await readFile(`/proc/${running.pid}/cmdline`, 'latin1')
      expect(line).toContain('--token-file')
      expect(line).not.toContain(token)
    },
  )

  it.each([
    [
      'no TLS',
      ['--tls', '--ca', '--cert', '--key', '--token-file', '--tls-server-name'],
      14,
      /--tls/,
    ],
    ['no certificate', ['--cert', '--key'], 14, /certificate/],
    ['no token', ['--token-file'], 14, /token/],
    ['no authority', ['--ca'], 14, /--ca FILE/],
    ['another name', ['--tls-server-name'], 14, /--tls-server-name/],
  ])('refuses a client with %s, and says what to do', async (_what, without, code, pattern) => {
    const { host } = await serveAsShown()
    const words = backupWords(host, join(dir, 'none')).filter((word, at, all) => {
      const isValue = without.includes(all[at - 1] ?? '') && all[at - 1] !== '--tls'
      return !without.includes(word) && !isValue
    })
    const finished = await snap([...words, '--retries', '0'])
    expect(finished.code, finished.stderr).toBe(code)
    expect(finished.stderr).toMatch(pattern)
  })

  it('shows a door in front of an influxd', async () => {
    const words = wordsOf('snap serve --upstream').slice(1)
    const bound = words.filter((word, at) => word !== '--bind' && words[at - 1] !== '--bind')
    const behind = await startServe((await makeDirectory()).flags)
    onTestFinished(async () => void (await behind.stop()))
    const { host, stop } = await startServe(located(withValue(bound, '--upstream', behind.host)))
    const asked = located(['--tls', '--ca', 'ca.crt', '--token-file', 'tokens'])
    const target = join(dir, 'through')
    await snapExpecting(0, ['backup', '--host', host, ...asked, '--tls-server-name', NAME, target])
    expect((await stop()).code).toBe(0)
  })

  it('has the size of the request that ends influxd', () => {
    const request = '\x03\x06{"UploadSize":9223372036854775807}\n'
    expect(page).toContain(`a single request of ${request.length} bytes`)
  })
})
