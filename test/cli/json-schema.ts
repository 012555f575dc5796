import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../helpers/sources.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type Schema = { readonly [key: string]: Json }

/** The keywords this checker knows; a schema with another one is refused rather than half checked. */
const KEYWORDS: Readonly<Record<string, (rule: Json, value: Json, at: string) => string[]>> = {
  const: (rule, value, at) => unless(value === rule, at, `is not ${JSON.stringify(rule)}`),
  enum: (rule, value, at) =>
    unless(Array.isArray(rule) && rule.includes(value), at, `is none of ${JSON.stringify(rule)}`),
  type: (rule, value, at) => unless(typesOf(value).includes(String(rule)), at, `is no ${rule}`),
  pattern: (rule, value, at) =>
    unless(new RegExp(String(rule), 'u').test(String(value)), at, `does not match ${rule}`),
  minimum: (rule, value, at) => unless(Number(value) >= Number(rule), at, `is below ${rule}`),
  required: (rule, value, at) =>
    (rule as readonly string[]).flatMap((key) =>
      unless(isObject(value) && Object.hasOwn(value, key), at, `has no ${key}`),
    ),
  properties: (rule, value, at) =>
    Object.entries(rule as Schema).flatMap(([key, schema]) =>
      isObject(value) && Object.hasOwn(value, key)
        ? check(schema as Schema, value[key] ?? null, `${at}/${key}`)
        : [],
    ),
  additionalProperties: (rule, value, at) =>
    isObject(value) && isObject(rule)
      ? Object.entries(value).flatMap(([key, item]) => check(rule, item, `${at}/${key}`))
      : [],
  items: (rule, value, at) =>
    Array.isArray(value)
      ? value.flatMap((item, index) => check(rule as Schema, item, `${at}/${index}`))
      : [],
  oneOf: (rule, value, at) => {
    const errors = (rule as readonly Schema[]).map((schema) => check(schema, value, at))
    const fitting = errors.filter((found) => found.length === 0).length
    return fitting === 1 ? [] : [`${at} fits ${fitting} of oneOf`, ...errors.flat()]
  },
  not: (rule, value, at) =>
    unless(check(rule as Schema, value, at).length > 0, at, `fits ${JSON.stringify(rule)}`),
  $ref: (rule, value, at) => check(loadRef(String(rule)), value, at),
  $schema: () => [],
  $defs: () => [],
  title: () => [],
  description: () => [],
}

function unless(fine: boolean, at: string, complaint: string): string[] {
  return fine ? [] : [`${at} ${complaint}`]
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typesOf(value: Json): string[] {
  if (value === null) return ['null']
  if (Array.isArray(value)) return ['array']
  return Number.isInteger(value) ? ['number', 'integer'] : [typeof value]
}

function check(schema: Schema, value: Json, at: string): string[] {
  return Object.entries(schema).flatMap(([keyword, rule]) => {
    const test = KEYWORDS[keyword]
    if (test === undefined) throw new Error(`the checker does not know ${keyword}`)
    return test(rule, value, at)
  })
}

/** Reads a schema of docs/schemas/. */
export function loadSchema(name: string): Schema {
  return JSON.parse(readFileSync(join(ROOT, 'docs/schemas', name), 'utf8'))
}

/** A reference is `file.json` or `file.json#/$defs/name`. */
function loadRef(ref: string): Schema {
  const [file = '', pointer = ''] = ref.split('#')
  const steps = pointer.split('/').filter((step) => step !== '')
  return steps.reduce((schema, step) => schema[step] as Schema, loadSchema(file))
}

/** Returns what is wrong with a document by a schema of docs/schemas/, nothing if it fits. */
export function violations(schemaName: string, document: unknown): string[] {
  return check(loadSchema(schemaName), JSON.parse(JSON.stringify(document)), '')
}
