// Prints how many tests passed, failed and were skipped, from the report of vitest's JSON reporter:
//
//   node scripts/count-tests.mjs REPORT
import { readFileSync } from 'node:fs'

const [report] = process.argv.slice(2)
const { testResults } = read(report)
const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
const count = (...statuses) => tests.filter(({ status }) => statuses.includes(status)).length
// A file that could not even be loaded has no tests to count: it counts as one that failed.
const broken = testResults.filter(
  ({ status, assertionResults }) =>
    status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
).length

const passed = count('passed')
const failed = count('failed') + broken
console.log(
  `${passed} passed, ${failed} failed, ${tests.length + broken - passed - failed} skipped`,
)
if (failed > 0 || tests.length === 0) process.exitCode = 1

/** Without a report the run broke down before any test ended: one failure. */
function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { testResults: [{ status: 'failed', assertionResults: [] }] }
  }
}
