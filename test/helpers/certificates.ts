import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { run } from './run.ts'
import { tempDir } from './temp.ts'

/** A certificate and its key, as files. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

/** A certificate authority of a test. Nothing of it outlives the test file. */
export interface Authority extends Certificate {
  readonly dir: string
  /** Makes a certificate that this authority has signed; the names are those of the server at loopback unless given. */
  readonly certify: (name: string, options?: CertifyOptions) => Promise<Certificate>
}

export interface CertifyOptions {
  /** As openssl writes them. Default `DNS:localhost,IP:127.0.0.1`. */
  readonly names?: string
  /** How long it is good for; below zero: no more. Default 2. */
  readonly days?: number
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0

/** `describe` for suites that need openssl; without it they are skipped, and with `CI=true` they fail. */
export function describeWithOpenssl(title: string, body: () => void): void {
  if (HAS_OPENSSL) {
    describe(title, body)
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('needs openssl', () => {
        throw new Error('no openssl on PATH')
      })
    })
  } else {
    describe.skip(`${title} (no openssl on PATH)`, body)
  }
}

/** Makes a certificate authority in a directory of its own. */
export async function makeAuthority(name = 'test CA'): Promise<Authority> {
  const dir = await tempDir('ca')
  const [certFile, keyFile] = [join(dir, 'ca.crt'), join(dir, 'ca.key')]
  const made = ['req', '-x509', ...NEW_KEY, '-keyout', keyFile, '-out', certFile]
  await openssl([...made, '-days', '2', '-subj', `/CN=${name}`])
  const certify = async (subject: string, options: CertifyOptions = {}) => {
    const { names = 'DNS:localhost,IP:127.0.0.1', days = 2 } = options
    const file = (suffix: string) => join(dir, `${subject}.${suffix}`)
    await writeFile(file('ext'), `subjectAltName=${names}\n`)
    const request = ['req', ...NEW_KEY, '-keyout', file('key'), '-out', file('csr')]
    await openssl([...request, '-subj', `/CN=${subject}`])
    await openssl([
      ...['x509', '-req', '-in', file('csr'), '-CA', certFile, '-CAkey', keyFile],
      ...['-CAcreateserial', '-days', String(days), '-extfile', file('ext'), '-out', file('crt')],
    ])
    return { certFile: file('crt'), keyFile: file('key') }
  }
  return { dir, certFile, keyFile, certify }
}

/** Reads a certificate and its key. */
export async function readPair({ certFile, keyFile }: Certificate) {
  return { cert: await readFile(certFile), key: await readFile(keyFile) }
}

async function openssl(args: readonly string[]): Promise<void> {
  const { code, stderr } = await run('openssl', args)
  if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
}
