import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Report } from '../../../src/operations/report-data.ts'
import { type Browser, describeWithChromium, startChromium } from '../../helpers/chromium.ts'
import { tempDir } from '../../helpers/temp.ts'
import { inspectPage } from './inspect.ts'
import { pageOf, reportOn, variedSets } from './samples.ts'

const PHONE = { width: 390, height: 844 }
const DESK = { width: 1280, height: 800 }
const LOOKS = [
  ['a phone', PHONE],
  ['a desk', DESK],
  ['a phone in the dark', { ...PHONE, scheme: 'dark' }],
  ['a desk in the dark', { ...DESK, scheme: 'dark' }],
] as const

/** Names as they come, the longest and the worst of them too. */
function withOddNames(found: Report): Report {
  const odd = ['a'.repeat(250), '<b onclick="x">"\'&', '\u202e\u0645\u0631\u062d\u0628\u0627']
  const databases = found.databases.map((one, at) => ({ ...one, name: odd[at] ?? one.name }))
  const [first, ...others] = found.anomalies
  const item = { set: 'x'.repeat(300), message: '</style><script>alert(1)</script>' }
  if (first === undefined) return { ...found, databases }
  const damaged = { kind: 'damaged', severity: 'critical', items: [item], count: 1 } as const
  const note = { kind: 'not-drilled', severity: 'note', items: [{}], count: 1 } as const
  return { ...found, databases, anomalies: [damaged, first, ...others, note] }
}

describeWithChromium('the page in a browser', () => {
  let browser: Browser
  let path: string

  beforeAll(async () => {
    const { dir } = await variedSets()
    const found = await reportOn(dir, { retention: { keep: { daily: 14 }, minSets: 1 } })
    path = join(await tempDir('page'), 'report.html')
    await writeFile(path, pageOf(withOddNames(found)))
    browser = await startChromium()
  })
  afterAll(() => browser.close())

  it.each(LOOKS)('fits %s, can be read, asks for nothing and is at peace', async (_, look) => {
    await browser.open(path, look)
    const found = await inspectPage(browser)
    expect(found.problems).toEqual([])
    expect(found.width).toBeLessThanOrEqual(look.width)
    expect(found.texts).toBeGreaterThan(100)
    expect(found.pictures).toBe(5 + 5 + 3)
    expect(browser.requests()).toHaveLength(1)
    expect(browser.complaints).toEqual([])
  })

  it('is dark where that is preferred', async () => {
    const ground = 'getComputedStyle(document.body).backgroundColor'
    await browser.open(path, DESK)
    expect(await browser.evaluate(ground)).toBe('rgb(244, 246, 248)')
    await browser.look({ ...DESK, scheme: 'dark' })
    expect(await browser.evaluate(ground)).toBe('rgb(16, 22, 29)')
  })

  it('is drawn: a picture of it is not one colour', async () => {
    await browser.open(path, PHONE)
    const picture = await browser.screenshot()
    expect(picture.subarray(1, 4).toString()).toBe('PNG')
    expect(picture.length).toBeGreaterThan(20_000)
  })

  it('is printed with its tables open, on a few pages', async () => {
    await browser.open(path, DESK)
    const paper = (await browser.pdf()).toString('latin1')
    expect(paper.slice(0, 5)).toBe('%PDF-')
    const pages = paper.match(/\/Type\s*\/Page\b/g) ?? []
    expect(pages.length).toBeGreaterThan(2)
    expect(pages.length).toBeLessThan(15)
    await browser.call('Emulation.setEmulatedMedia', { media: 'print' })
    const open = "document.querySelector('details table').getBoundingClientRect().height"
    expect(await browser.evaluate(open)).toBeGreaterThan(50)
    await browser.call('Emulation.setEmulatedMedia', { media: '' })
  })

  it('cannot be made to load or run anything, whatever gets into it', async () => {
    const evil = '<script>document.title="run"</script><img src="http://127.0.0.1:9/x">'
    const bad = join(await tempDir('page'), 'bad.html')
    await writeFile(bad, (await readFile(path, 'utf8')).replace('<main>', `<main>${evil}`))
    await browser.open(bad, DESK)
    expect(await browser.evaluate('document.title')).toBe('Nightly backups')
    expect(browser.requests()).toHaveLength(1)
    expect(browser.complaints.join()).toContain('Content Security Policy')
  })

  it('tells a screen reader what it shows', async () => {
    await browser.open(path, DESK)
    const { nodes } = await browser.call('Accessibility.getFullAXTree')
    const named = (nodes as readonly { role?: { value: string }; name?: { value: string } }[]).map(
      ({ role, name }) => `${role?.value}: ${name?.value ?? ''}`,
    )
    const roles = named.map((text) => text.split(':')[0] ?? '')
    for (const role of ['banner', 'main', 'navigation', 'contentinfo']) {
      expect(roles.filter((one) => one === role)).toHaveLength(1)
    }
    const pictures = named.filter((text) => /^(?:img|image|graphics-document)/.test(text))
    expect(pictures.length).toBeGreaterThanOrEqual(13)
    expect(pictures.filter((text) => text.endsWith(': '))).toEqual([])
    expect(named).toContain('heading: What is held')
    expect(named).toContain('region: The sets, the newest first')
  })
})
