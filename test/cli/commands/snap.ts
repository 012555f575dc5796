import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { ROOT } from '../../helpers/sources.ts'
import { tempDir } from '../../helpers/temp.ts'
import { contextOf, runIn, type TestContext } from '../harness.ts'
import { violations } from '../json-schema.ts'

/** How a command line ended that was run in this process. */
export interface Outcome {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** How a command line with `--json` ended. */
export interface JsonOutcome extends Outcome {
  // biome-ignore lint/suspicious/noExplicitAny: documents of every command, looked into by tests
  readonly document: any
  /** The last line of stderr. */
  readonly error: { code: string; exitCode: number; message: string; hint: string } | undefined
}

/** Runs `snap` with `words` in this process, over the sources. */
export async function snap(...words: readonly string[]): Promise<Outcome> {
  return await finish(await worldOf(words))
}

let home: string | undefined

/** A world for `words` with a home of its own, in which state may be kept. */
export async function worldOf(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TestContext> {
  home ??= await tempDir('home')
  return contextOf(words, { env: { HOME: home, ...env } })
}

/** Runs a command line to its end. */
export async function finish(context: TestContext): Promise<Outcome> {
  await runIn(context)
  const { stdout, stderr, exitCode } = context
  return { code: exitCode(), stdout: stdout.text, stderr: stderr.text }
}

/** Runs `snap` with `words` and `--json`; what it prints is held to its schema. */
export async function snapJson(...words: readonly string[]): Promise<JsonOutcome> {
  return await finishJson(await worldOf([...words, '--json']))
}

/** Runs a command line with `--json` to its end. */
export async function finishJson(context: TestContext): Promise<JsonOutcome> {
  const outcome = await finish(context)
  const document = JSON.parse(outcome.stdout)
  const command = context.argv[0] ?? ''
  expect(document.schema).toBe(`snap/${command}/1`)
  expect(document.ok).toBe(outcome.code === 0)
  expectFits(`${command}.json`, document)
  if (outcome.code === 0) return { ...outcome, document, error: undefined }
  const error = JSON.parse(outcome.stderr.trimEnd().split('\n').at(-1) ?? '')
  expectFits('error.json', error)
  expect(error.exitCode).toBe(outcome.code)
  return { ...outcome, document, error }
}

/** Holds a document to its schema, where there is one. */
function expectFits(schema: string, document: unknown): void {
  if (!existsSync(join(ROOT, 'docs/schemas', schema))) return
  expect(violations(schema, document)).toEqual([])
}

/** Runs `snap` with `--json` and expects it to end with `code`, showing what it said if not. */
export async function expectCode(code: number, ...words: readonly string[]): Promise<JsonOutcome> {
  const outcome = await snapJson(...words)
  expect(outcome.code, `snap ${words.join(' ')}\n${outcome.stderr}`).toBe(code)
  return outcome
}
