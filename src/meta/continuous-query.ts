import { SnapError } from '../errors.ts'
import { quoteName, type Token, tokenize } from './influxql.ts'

/** A database as it is restored. */
export interface NewNames {
  readonly database: string
  readonly newDatabase: string
  /** The one policy that is restored; left out, all are. */
  readonly retentionPolicy?: string | undefined
  readonly newRetentionPolicy?: string | undefined
}

/** A statement under new names. */
export interface RewrittenQuery {
  readonly statement: string
  /** Why it may not be what is wanted; undefined if it is. */
  readonly doubt: string | undefined
}

/**
 * Rewrites the names of databases and policies in a `CREATE CONTINUOUS QUERY` statement: behind ON, INTO and FROM, those of
 * subqueries too, quoted or not. All else stays as it is, to the letter. Where the new meaning is not certain the statement
 * comes with a doubt.
 * @param own the database that the query is of
 * @param restored all databases that are restored, `own` among them
 */
export function rewriteContinuousQuery(
  text: string,
  own: NewNames,
  restored: readonly NewNames[],
): RewrittenQuery {
  try {
    const rewriting = new Rewriting(tokenize(text), own, restored)
    return rewriting.run()
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    return { statement: text, doubt: error.message }
  }
}

/** Words that end a path: as names they are quoted. */
const RESERVED = new Set(['FROM', 'INTO', 'SELECT', 'WHERE', 'GROUP', 'ORDER', 'END'])

/** A part of a path of names, or a place in it where nothing stands. */
type Segment = number | undefined

/** One statement while it is rewritten. */
class Rewriting {
  readonly #texts: string[]
  /** Tokens that count, with their place among all. */
  readonly #words: readonly (Token & { readonly place: number })[]
  readonly #own: NewNames
  readonly #restored: readonly NewNames[]
  readonly #doubts: string[] = []
  #at = 0

  constructor(tokens: readonly Token[], own: NewNames, restored: readonly NewNames[]) {
    this.#texts = tokens.map(({ text }) => text)
    this.#words = tokens
      .map((token, place) => ({ ...token, place }))
      .filter(({ kind }) => kind !== 'space')
    this.#own = own
    this.#restored = restored
  }

  run(): RewrittenQuery {
    for (const keyword of ['CREATE', 'CONTINUOUS', 'QUERY']) this.#expect(keyword)
    this.#skipName()
    this.#expect('ON')
    const database = this.#at
    if (this.#skipName() !== this.#own.database) {
      throw notUnderstood(`it is not of database ${this.#own.database}`)
    }
    this.#replace(database, this.#own.database, this.#own.newDatabase)
    while (this.#at < this.#words.length) this.#step()
    return { statement: this.#texts.join(''), doubt: this.#doubts[0] }
  }

  #step(): void {
    const keyword = this.#keyword()
    this.#at++
    if (keyword === 'INTO') this.#path()
    else if (keyword === 'FROM') this.#sources()
  }

  /** Sources with commas between; one in parentheses is a query of its own. */
  #sources(): void {
    for (;;) {
      if (this.#isSymbol('(')) this.#inParentheses()
      else this.#path()
      if (!this.#isSymbol(',')) return
      this.#at++
    }
  }

  #inParentheses(): void {
    this.#at++
    for (let depth = 1; ; ) {
      if (this.#at >= this.#words.length) throw notUnderstood('a parenthesis is not closed')
      if (this.#isSymbol('(')) depth++
      if (this.#isSymbol(')')) depth--
      this.#step()
      if (depth === 0) return
    }
  }

  /** `measurement`, `policy.measurement`, `database.policy.measurement` or `database..measurement`. */
  #path(): void {
    const segments: Segment[] = [this.#segment()]
    while (this.#isSymbol('.')) {
      this.#at++
      segments.push(this.#isSymbol('.') ? undefined : this.#segment())
    }
    const [measurement, policy, database, ...more] = segments.toReversed()
    if (more.length > 0 || measurement === undefined)
      throw notUnderstood('a name has too many parts')
    const named = database === undefined ? this.#own.database : this.#word(database).value
    const names = this.#restored.find((each) => each.database === named)
    if (names === undefined) {
      this.#foreign(named)
      return
    }
    if (database !== undefined) this.#replace(database, named, names.newDatabase)
    if (policy !== undefined) this.#policy(policy, names)
  }

  /** A name, a regular expression, or `:MEASUREMENT`. */
  #segment(): number {
    const at = this.#at
    if (this.#isSymbol(':')) {
      this.#at++
      this.#expect('MEASUREMENT')
      return at
    }
    const { kind, text } = this.#word(at)
    const isReserved = kind === 'word' && RESERVED.has(text.toUpperCase())
    if (isReserved || !['name', 'word', 'regex'].includes(kind)) {
      throw notUnderstood(`expected a name, got ${JSON.stringify(text)}`)
    }
    this.#at++
    return at
  }

  #policy(at: number, names: NewNames): void {
    const { retentionPolicy, newRetentionPolicy = retentionPolicy } = names
    if (retentionPolicy === undefined || newRetentionPolicy === undefined) return
    const { value } = this.#word(at)
    if (value === retentionPolicy) this.#replace(at, value, newRetentionPolicy)
    else this.#doubts.push(`it names policy ${value} of ${names.database}, which is not restored`)
  }

  /** The query of a copy would read or write what the first one does. */
  #foreign(database: string): void {
    const { database: own, newDatabase } = this.#own
    if (own === newDatabase) return
    const message = `it names database ${database}, which is not restored with ${own}`
    this.#doubts.push(message)
  }

  #replace(at: number, old: string, name: string): void {
    if (name !== old) this.#texts[this.#word(at).place] = quoteName(name)
  }

  #word(at: number): Token & { readonly place: number } {
    const word = this.#words[at]
    if (word === undefined) throw notUnderstood('it ends too early')
    return word
  }

  #isSymbol(text: string): boolean {
    const word = this.#words[this.#at]
    return word?.kind === 'symbol' && word.text === text
  }

  #keyword(): string | undefined {
    const word = this.#words[this.#at]
    return word?.kind === 'word' ? word.text.toUpperCase() : undefined
  }

  #expect(keyword: string): void {
    if (this.#keyword() !== keyword) throw notUnderstood(`expected ${keyword}`)
    this.#at++
  }

  #skipName(): string {
    const { kind, value } = this.#word(this.#at)
    if (kind !== 'name' && kind !== 'word') throw notUnderstood('expected a name')
    this.#at++
    return value
  }
}

function notUnderstood(why: string): SnapError {
  return new SnapError('E_FORMAT', `the statement is not understood: ${why}`)
}
