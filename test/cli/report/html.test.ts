import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { escapeHtml, html } from '../../../src/cli/report/html.ts'

describe('html', () => {
  it('escapes what is put into it, and leaves markup of its own alone', () => {
    const inner = html`<b title="${'"x"'}">${'<&>'}</b>`
    expect(html`<p>${inner}${[inner]}${7}${undefined}${false}</p>`.markup).toBe(
      `<p>${inner.markup}${inner.markup}7</p>`,
    )
    expect(inner.markup).toBe('<b title="&quot;x&quot;">&lt;&amp;&gt;</b>')
  })

  test.prop([fc.string({ unit: 'binary' })])(
    'leaves nothing that ends an element or a value',
    (text) => {
      const escaped = escapeHtml(text)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(escaped).not.toMatch(/[<>"'\u0000-\u001f]|&(?!amp;|lt;|gt;|quot;|#39;)/)
    },
  )
})
