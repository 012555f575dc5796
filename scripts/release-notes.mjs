// Prints what the changelog says of a version, for the page of a release:
//
//   node scripts/release-notes.mjs v1.2.0
//
// Ends with 1 if package.json has another version, or the changelog no dated section for it.
import { readFileSync } from 'node:fs'

const [tag = ''] = process.argv.slice(2)
const version = tag.replace(/^v/, '')
const root = new URL('../', import.meta.url)
const { version: packed } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))
const changelog = readFileSync(new URL('CHANGELOG.md', root), 'utf8')

const section = changelog
  .split(/^(?=## )/m)
  .find(
    (part) => part.startsWith(`## [${version}] - `) && /^## \[\S+\] - \d{4}-\d\d-\d\d\n/.test(part),
  )
if (packed !== version || section === undefined) {
  console.error(
    `tag ${tag}: package.json has ${packed}, the changelog ${section === undefined ? 'no' : 'a'} section for it`,
  )
  process.exitCode = 1
} else {
  console.log(section.replace(/^## .*\n/, '').trim())
}
