import { type PublicName, withoutComments } from './public-api.ts'

/** The parts of the page, by the folders of the sources that declare what is in them. */
const PARTS: readonly { readonly room: string; readonly title: string; readonly about: string }[] =
  [
    { room: 'client', title: 'The client', about: 'Asks influxd or `snap serve`.' },
    {
      room: 'service',
      title: 'The service',
      about: 'Answers as influxd does, over a store of any kind.',
    },
    {
      room: 'datadir',
      title: 'Data directories',
      about: 'The directories of an influxd as stores for a [Service](#service).',
    },
    { room: 'meta', title: 'The metastore', about: 'What a server knows of databases and shards.' },
    { room: 'tar', title: 'Shard tars', about: 'How the files of a shard travel.' },
    { room: 'protocol', title: 'The protocol', about: 'Values of [the protocol](protocol.md).' },
    { room: 'io', title: 'Connections', about: 'Client and service in one process.' },
    { room: 'errors', title: 'Errors', about: 'What everything here throws.' },
  ]

/** Writes the reference of the library, Markdown, from its declarations and their docstrings. */
export function apiPage(api: readonly PublicName[]): string {
  const names = new Set(api.map(({ name }) => name))
  const parts = PARTS.map(({ room, title, about }) => {
    const entries = api.filter(({ file }) => roomOf(file) === room)
    return `## ${title}\n\n${about}\n\n${entries.map((entry) => entryText(entry, names)).join('\n')}`
  })
  const lost = api.filter(({ file }) => !PARTS.some(({ room }) => room === roomOf(file)))
  if (lost.length > 0) throw new Error(`no part of the page for ${lost.map(({ file }) => file)}`)
  return parts.join('\n')
}

/** Writes the declarations alone, one after the other by name: what is promised, without a word about it. */
export function surfaceText(api: readonly PublicName[]): string {
  const byName = [...api].sort((a, b) => (a.name < b.name ? -1 : 1))
  return byName.map((entry) => `${withoutComments(declarationOf(entry))}\n`).join('\n')
}

function roomOf(file: string): string {
  return file.split('/')[0] ?? file
}

function entryText(entry: PublicName, names: ReadonlySet<string>): string {
  const { name, doc } = entry
  return `### ${name}\n\n${docText(doc, names)}\`\`\`ts\n${declarationOf(entry)}\n\`\`\`\n`
}

/** A declaration without what tells a reader nothing. */
function declarationOf({ text }: PublicName): string {
  return text
    .replaceAll(/^ *#private;\n/gm, '')
    .replaceAll(/^ *\*\n *\* @generated .*\n/gm, '')
    .replaceAll(/^ *\/\*\*\n *\* @generated .*\n *\*\/\n/gm, '')
    .replaceAll(/\{@link (\w+)\}/g, '$1')
}

/** A docstring as Markdown: the text, then what it says of parameters, result and errors as a list. */
function docText(doc: string, names: ReadonlySet<string>): string {
  const [text = '', ...tags] = doc.split(/^@/m)
  const items = tags.filter((tag) => !tag.startsWith('generated')).map(tagText)
  const blocks = [text.trim(), items.join('\n')].filter((block) => block !== '')
  return blocks.map((block) => `${withLinks(block, names)}\n\n`).join('')
}

function tagText(tag: string): string {
  const [, kind = '', rest = ''] = /^(\w+)\s+([\s\S]*)$/.exec(tag.trim()) ?? []
  const about = rest.replaceAll(/\s*\n\s*/g, ' ')
  if (kind === 'param') return `- ${about.replace(/^(\w+)/, '`$1`:')}`
  if (kind === 'throws') return `- throws ${about}`
  if (kind === 'returns') return `- returns ${about}`
  throw new Error(`a docstring has @${kind}, which the page has no form for`)
}

function withLinks(text: string, names: ReadonlySet<string>): string {
  return text.replaceAll(/\{@link (\w+)\}/g, (_, name: string) =>
    names.has(name) ? `[${name}](#${name.toLowerCase()})` : `\`${name}\``,
  )
}
