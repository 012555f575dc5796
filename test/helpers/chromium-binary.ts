import { findOnPath, INSTALL_VARIABLE, installIfWanted, installWords } from './apt.ts'

/** Set, it is the browser to test with; set but empty means "none". */
const VARIABLE = 'INFLUX_SNAP_TEST_CHROMIUM'
const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
const PACKAGES = ['chromium-headless-shell']

/** The one line for whoever has no Chromium. */
export const HOW_TO_GET_CHROMIUM = `set ${VARIABLE} to the path of one, apt-get ${installWords(PACKAGES).join(' ')}, or set ${INSTALL_VARIABLE}=1 to have the tests do it`

/** Returns the path of a Chromium, if there is one. */
export function findChromium(): string | undefined {
  const named = process.env[VARIABLE]
  if (named !== undefined) return named === '' ? undefined : named
  for (const name of PROGRAMS) {
    const found = findOnPath(name)
    if (found !== undefined) return found
  }
  return undefined
}

/** Returns the path of a Chromium, installed where there is none and that is wanted. */
export function findOrInstallChromium(): string | undefined {
  if (findChromium() === undefined && process.env[VARIABLE] === undefined) installIfWanted(PACKAGES)
  return findChromium()
}
