import { describe, it } from 'vitest'
import { findOrFetchProgram, findProgram, type PackagedProgram } from './packaged-program.ts'

const AGE: PackagedProgram = {
  program: 'age',
  package: 'age',
  variable: 'INFLUX_SNAP_TEST_AGE',
}

const HOW_TO_GET_AGE = `set ${AGE.variable} to the path of the age tool, or run the tests where apt-get can download the package age`

/** Puts the age tool where the tests find it, if it can be had. */
export function findOrFetchAge(): string | undefined {
  return findOrFetchProgram(AGE)
}

/** Returns the path of the age tool, if there is one. */
export function findAge(): string | undefined {
  return findProgram(AGE)
}

/** `describe` for suites that need the age tool; skipped without one, which fails with `CI=true`. */
export function describeWithAge(title: string, body: (age: string) => void): void {
  const age = findAge()
  if (age !== undefined) {
    describe(title, () => body(age))
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('needs the age tool', () => {
        throw new Error(`no age: ${HOW_TO_GET_AGE}`)
      })
    })
  } else {
    describe.skip(`${title} (no age: ${HOW_TO_GET_AGE})`, () => body('age'))
  }
}
