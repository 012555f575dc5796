import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fixture, fixturePath } from '../age/files.ts'
import { describeWithAge } from '../helpers/age-binary.ts'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, startInfluxd, stockRestore } from '../helpers/influxd.ts'
import { loadOddData } from '../helpers/odd-data.ts'
import { run } from '../helpers/run.ts'
import { tempDir } from '../helpers/temp.ts'

const RECIPIENT = fixture('recipient.txt').toString().trim()
const KEY = ['--identity', fixturePath('key.txt')]

/** Decrypts every file of a target with the age tool. */
async function decryptAll(age: string, target: string): Promise<string> {
  const plain = await tempDir('plain')
  for (const name of (await readdir(target)).filter((each) => each.endsWith('.age'))) {
    const out = join(plain, name.slice(0, -'.age'.length))
    const { code } = await run(age, ['-d', '-i', KEY[1] ?? '', '-o', out, join(target, name)])
    expect(code, name).toBe(0)
  }
  return plain
}

describeWithAge('an encrypted set of a real influxd', (age) => {
  describeWithInfluxd('with influxd', () => {
    it('holds every point for snap, and for influxd after age -d', {
      timeout: 120_000,
    }, async () => {
      const source = await startInfluxd()
      await loadOddData(source)
      const target = await tempDir('set')
      const encrypt = ['--encrypt-to', RECIPIENT, '--encrypt-to', fixturePath('recipients.txt')]
      await snapExpecting(0, ['backup', '--host', source.host, ...encrypt, target])
      const dump = await dumpAll(source)
      await snapExpecting(0, ['verify', target])
      await snapExpecting(0, ['verify', '--deep', ...KEY, target])
      const stock = await stockRestore(['-portable', '-host', source.host, target])
      expect(stock.code).not.toBe(0)

      const fresh = await startInfluxd()
      await snapExpecting(0, ['restore', '--host', fresh.host, ...KEY, target])
      await fresh.settled()
      expect(await dumpAll(fresh)).toEqual(dump)
      await fresh.dispose()

      const other = await startInfluxd()
      const plain = await decryptAll(age, target)
      const copy = await tempDir('copy')
      await snapExpecting(0, ['copy', ...KEY, ...encrypt.slice(0, 2), target, copy])
      const copied = await decryptAll(age, copy)
      for (const name of await readdir(plain)) {
        expect(await readFile(join(copied, name)), name).toEqual(await readFile(join(plain, name)))
      }
      const restored = await stockRestore(['-portable', '-host', other.host, plain])
      expect(restored, restored.stderr).toMatchObject({ code: 0 })
      await other.settled()
      expect(await dumpAll(other)).toEqual(dump)
      await other.dispose()
      await source.dispose()
    })
  })
})
