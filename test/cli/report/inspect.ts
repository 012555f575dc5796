import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from '../../helpers/chromium.ts'

/** What was found in a page. */
export interface PageFindings {
  /** Of the document, in CSS pixels. */
  readonly width: number
  /** Elements with text of their own. */
  readonly texts: number
  /** Pictures with a role. */
  readonly pictures: number
  readonly problems: readonly string[]
}

const SCRIPT = await readFile(join(import.meta.dirname, 'inspect-page.js'), 'utf8')

/** Inspects the page that a browser has open, as inspect-page.js does. */
export async function inspectPage(browser: Browser): Promise<PageFindings> {
  return (await browser.evaluate(SCRIPT)) as PageFindings
}
