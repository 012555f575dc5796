import { readFileSync } from 'node:fs'

/** Name and version as `package.json` has them. */
export interface PackageInfo {
  readonly name: string
  readonly version: string
}

/** Reads `package.json`, which stands two folders above both the sources and the build. */
export function readPackageInfo(): PackageInfo {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { name, version }: PackageInfo = JSON.parse(text)
  return { name, version }
}
