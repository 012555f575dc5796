import { readFileSync } from 'node:fs'

/** Name and version as `package.json` has them. */
export interface PackageInfo {
  readonly name: string
  readonly version: string
}

/** What the program was built from. */
export interface BuildInfo {
  /** The commit of the checkout, 40 hex digits. */
  readonly commit: string
  /** True if files of it had been changed since. */
  readonly modified: boolean
}

/** Reads `package.json`, which stands two folders above both the sources and the build. */
export function readPackageInfo(): PackageInfo {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { name, version }: PackageInfo = JSON.parse(text)
  return { name, version }
}

/** Reads what scripts/build-info.mjs noted. Undefined for a build outside a checkout, and for the sources themselves. */
export function readBuildInfo(
  url = new URL('../build.json', import.meta.url),
): BuildInfo | undefined {
  try {
    const { commit, modified }: BuildInfo = JSON.parse(readFileSync(url, 'utf8'))
    return { commit, modified }
  } catch {
    return undefined
  }
}
