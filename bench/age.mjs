// How fast files are encrypted and decrypted, side by side with the cipher alone, with the package's own streams and, if
// it is on the PATH, with the age tool.
//
//   npm run build && node bench/age.mjs [MIB]
import { spawnSync } from 'node:child_process'
import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption'
import { beginFile, readFile, writeFile } from '../dist/age/file.js'
import { identitiesOf, recipientsOf } from '../dist/age/keys.js'

const MIB = 2 ** 20
const size = Number(process.argv[2] ?? 256)
const block = randomBytes(MIB)
const key = await generateIdentity()
const recipient = await identityToRecipient(key)

async function* blocks(count = size) {
  for (let i = 0; i < count; i++) yield block
}

async function measure(name, work, mebibytes = size) {
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  console.log(
    `${name.padEnd(28)}${((mebibytes * MIB) / 1e6 / seconds).toFixed(0).padStart(6)} MB/s`,
  )
}

await measure('cipher alone', async () => {
  const cipherKey = randomBytes(32)
  for await (const bytes of blocks()) {
    for (let at = 0; at < MIB; at += 65_536) {
      const options = { authTagLength: 16 }
      const cipher = createCipheriv('chacha20-poly1305', cipherKey, Buffer.alloc(12), options)
      cipher.update(bytes.subarray(at, at + 65_536))
      cipher.final()
    }
  }
})

const recipients = await recipientsOf([recipient])
const identities = await identitiesOf({ keys: [key] })
const sealed = []
for await (const bytes of writeFile(await beginFile(recipients), blocks(16))) sealed.push(bytes)
async function* stored() {
  yield* sealed
}
await measure('encrypt', async () => {
  for await (const _ of writeFile(await beginFile(recipients), blocks()));
})
await measure('decrypt', async () => {
  for (let i = 0; i < size / 16; i++) for await (const _ of readFile(identities, stored(), 'x'));
})

const some = Math.min(size, 64)
const bytes = Buffer.concat(Array.from({ length: some }, () => block))
const encrypter = new Encrypter()
encrypter.addRecipient(recipient)
const decrypter = new Decrypter()
decrypter.addIdentity(key)
let file
await measure(
  'encrypt, package alone',
  async () => {
    file = await encrypter.encrypt(bytes)
  },
  some,
)
await measure('decrypt, package alone', () => decrypter.decrypt(file), some)

if (spawnSync('age', ['--version']).status === 0) {
  const dir = mkdtempSync(join(tmpdir(), 'bench-age-'))
  const paths = { plain: join(dir, 'plain'), sealed: join(dir, 'sealed'), key: join(dir, 'key') }
  writeFileSync(paths.plain, Buffer.concat(Array.from({ length: size }, () => block)))
  writeFileSync(paths.key, key)
  const run = (args) => async () => void spawnSync('age', args)
  await measure('encrypt, age tool', run(['-r', recipient, '-o', paths.sealed, paths.plain]))
  await measure('decrypt, age tool', run(['-d', '-i', paths.key, '-o', '/dev/null', paths.sealed]))
  rmSync(dir, { recursive: true })
}
