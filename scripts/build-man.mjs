// Writes the manual pages, one for the program and one for each command: options as the program has them (the same as in
// its help), description and example from the pages in docs/.
//
//   node scripts/build-man.mjs [--name NAME] [--out DIR]
//
// NAME is what the program is called in them, by default snap, with pages that lead from influx-snap there; DIR is dist/man.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildProgram } from '../dist/cli/program.js'
import { bold, code, definition, italic, paragraph, plain } from './roff.mjs'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const OTHER_NAME = 'influx-snap'

const { values } = parseArgs({
  options: { name: { type: 'string', default: 'snap' }, out: { type: 'string' } },
})
const { name } = values
const out = resolve(values.out ?? join(ROOT, 'dist/man'))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const docs = readdirSync(join(ROOT, 'docs'))
  .filter((file) => file.endsWith('.md'))
  .map((file) => ({ file, text: readFileSync(join(ROOT, 'docs', file), 'utf8') }))
const scripting = docs.find(({ file }) => file === 'scripting.md').text

const { stdout, stderr } = process
const program = buildProgram({ argv: [], env: {}, stdout, stderr })
const help = program.createHelp()
const commands = program.commands.filter((command) => command.name() !== 'help')

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
writePage(name, programPage())
for (const command of commands) writePage(`${name}-${command.name()}`, commandPage(command))
if (name !== OTHER_NAME) writeFileSync(join(out, `${OTHER_NAME}.1`), `.so man1/${name}.1\n`)

function writePage(title, sections) {
  const head = `.TH ${plain(title.toUpperCase())} 1 "" "influx-snap ${version}" "influx-snap"\n`
  // No hyphenation, and no stretched lines: names and flags are to be found and copied.
  const start = '.nh\n.ad l\n'
  writeFileSync(join(out, `${title}.1`), named(head + start + sections.join('')))
}

/** The words of the docs and the help, said of the name that the program has here. */
function named(text) {
  if (name === 'snap') return text
  return text.replaceAll(/(?<![\w.\\/-])snap (?=[a-z\\])/g, `${plain(name)} `)
}

function section(title, text) {
  return text === '' ? '' : `.SH ${title}\n${text}`
}

function programPage() {
  const list = commands.map((command) => {
    return definition(`${bold(`${name}-${command.name()}`)}(1)`, plain(command.description()))
  })
  const about =
    'One program is server and client of the snapshotter protocol of InfluxDB 1.x. It writes the portable backup directories ' +
    'that `influxd restore` reads, checks all that it receives, stores and restores, and ends with 0 only if what it stored can be restored.'
  return [
    section('NAME', `${plain(name)} \\- ${plain(lowered(program.description()))}\n`),
    section('SYNOPSIS', `${bold(name)} ${italic('COMMAND')} [${italic('OPTION')}...]\n`),
    section('DESCRIPTION', paragraph(about)),
    section('COMMANDS', list.join('')),
    section('OPTIONS', help.visibleOptions(program).map(optionEntry).join('')),
    ...common(),
    section('SEE ALSO', seeAlso(commands.map((command) => `${name}-${command.name()}`))),
  ]
}

function commandPage(command) {
  const title = `${name}-${command.name()}`
  const { file, paragraphs, example } = documented(command.name())
  const description = paragraphs.length > 0 ? paragraphs : [`${raised(command.description())}.`]
  const others = related(command, file).map((other) => `${name}-${other}`)
  return [
    section('NAME', `${plain(title)} \\- ${plain(firstClause(command.description()))}\n`),
    section('SYNOPSIS', synopsis(command)),
    section('DESCRIPTION', description.map(paragraph).join('')),
    section('ARGUMENTS', help.visibleArguments(command).map(argumentEntry).join('')),
    section('OPTIONS', optionGroups(command)),
    section('EXAMPLES', example === undefined ? '' : code(example)),
    ...common(),
    section('SEE ALSO', seeAlso([name, ...others], `docs/${file}`)),
  ]
}

function synopsis(command) {
  const words = [bold(`${name} ${command.name()}`), `[${italic('OPTION')}...]`]
  for (const argument of command.registeredArguments) {
    const shown = italic(`${argument.name()}${argument.variadic ? '...' : ''}`)
    words.push(argument.required ? shown : `[${shown}]`)
  }
  return `${words.join(' ')}\n`
}

/** The options under the headings that they have in the help. */
function optionGroups(command) {
  const groups = new Map()
  for (const option of help.visibleOptions(command)) {
    const heading = (option.helpGroupHeading ?? 'General:').replace(/:$/, '')
    groups.set(heading, [...(groups.get(heading) ?? []), option])
  }
  return [...groups]
    .map(([heading, options]) => `.SS ${plain(heading)}\n${options.map(optionEntry).join('')}`)
    .join('')
}

function optionEntry(option) {
  const flags = option.flags.replaceAll(/--?[\w-]+|<[^>]+>/g, (word) =>
    word.startsWith('<') ? italic(word.slice(1, -1)) : bold(word),
  )
  return definition(flags, plain(help.optionDescription(option)))
}

function argumentEntry(argument) {
  return definition(italic(argument.name()), plain(help.argumentDescription(argument)))
}

/** What the docs say of a command: the paragraphs below the heading that names it, and the first commands to type. */
function documented(command) {
  const heading = new RegExp(`^(#+) .*\\bsnap ${command}\\b.*$`, 'm')
  for (const { file, text } of docs) {
    const [line, marks] = heading.exec(text) ?? []
    if (line === undefined) continue
    const rest = text.slice(text.indexOf(line) + line.length)
    const [body] = rest.split(new RegExp(`^#{1,${marks.length}} `, 'm'))
    const blocks = body.trim().split(/\n{2,}/)
    const end = blocks.findIndex((block) => !/^[\w`*]/.test(block) || block.startsWith('```'))
    const script = new RegExp(`^\`\`\`sh\\n([^]*?snap ${command}[^]*?)^\`\`\`$`, 'm').exec(body)
    const typed = new RegExp(`^\\$ (snap ${command}\\b.*)$`, 'm').exec(body)
    const example = (script ?? typed)?.[1]
    const paragraphs = blocks.slice(0, end < 0 ? blocks.length : end)
    return { file, paragraphs: paragraphs.map((block) => block.replace(/:$/, '.')), example }
  }
  return { file: 'scripting.md', paragraphs: [] }
}

/** The commands whose page is the same, or links from it. */
function related(command, file) {
  const { text } = docs.find((page) => page.file === file)
  return commands
    .map((other) => other.name())
    .filter((other) => other !== command.name() && new RegExp(`\\bsnap ${other}\\b`).test(text))
}

function common() {
  const rows = [...scripting.matchAll(/^\| (\d+) \| (?:`(E_\w+)`)? ?\| (.*) \|$/gm)]
  const status = rows.map(([, exit, code = '', meaning]) =>
    definition(`${bold(exit)}${code === '' ? '' : ` ${plain(code)}`}`, paragraphText(meaning)),
  )
  const environment =
    'Every option can be set by a variable: INFLUX_SNAP_ and its name in capitals, with `_` for `-`. INFLUX_SNAP_CONFIG names a file ' +
    'with settings in TOML. The command line counts first, then variables, then the file.'
  return [section('EXIT STATUS', status.join('')), section('ENVIRONMENT', paragraph(environment))]
}

function seeAlso(pages, file = 'docs/index.md') {
  return `${pages.map((page) => `${bold(page)}(1)`).join(',\n')}\n${paragraph(`In the package: \`${file}\`.`)}`
}

function paragraphText(markdown) {
  return paragraph(markdown)
    .replace(/^\.PP\n/, '')
    .trimEnd()
}

function firstClause(description) {
  return description.replace(/[;:,(].*$/s, '').trim()
}

function raised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function lowered(text) {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
