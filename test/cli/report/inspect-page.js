/** Looks at a page as it is laid out: widths, contrasts, names, headings, tables, links. Read as text and run in the browser. */
function inspect() {
  const problems = []
  const all = [...document.querySelectorAll('*')]
  const label = (element) => element.outerHTML.slice(0, 120)
  const hidden = (element) => element.closest('head, defs, title, desc, [aria-hidden]')

  const ids = all.map(({ id }) => id).filter((id) => id !== '')
  if (new Set(ids).size !== ids.length) problems.push('ids are not unique')
  for (const name of ['aria-labelledby', 'aria-describedby']) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      for (const id of (element.getAttribute(name) ?? '').split(' ')) {
        const text = document.getElementById(id)?.textContent ?? ''
        if (text.trim() === '') problems.push(`no text for ${id}: ${label(element)}`)
      }
    }
  }
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    const id = (link.getAttribute('href') ?? '').slice(1)
    if (document.getElementById(id) === null) problems.push(`leads nowhere: ${label(link)}`)
  }
  let level = 0
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const own = Number(heading.tagName.slice(1))
    if (own > level + 1) problems.push(`heading of level ${own} after ${level}: ${label(heading)}`)
    level = own
  }
  if (document.querySelectorAll('h1').length !== 1) problems.push('not one h1')
  if (document.querySelectorAll('main').length !== 1) problems.push('not one main')
  if (document.documentElement.lang !== 'en') problems.push('no language')
  for (const table of document.querySelectorAll('table')) {
    if ((table.caption?.textContent ?? '') === '') problems.push(`no caption: ${label(table)}`)
    for (const head of table.querySelectorAll('th')) {
      if (head.getAttribute('scope') === null) problems.push(`no scope: ${label(head)}`)
    }
  }
  const pictures = [...document.querySelectorAll('svg[role=img]')]
  for (const svg of document.querySelectorAll('svg:not(svg svg)')) {
    if (hidden(svg)) continue
    const isTold = svg.querySelector(':scope > title') && svg.querySelector(':scope > desc')
    if (svg.getAttribute('role') !== 'img' || !isTold) problems.push(`is not told: ${label(svg)}`)
  }

  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = ([red = 0, green = 0, blue = 0]) => {
    const linear = [red, green, blue].map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0)
  }
  const groundOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const ground = channels(getComputedStyle(at).backgroundColor)
      if (ground[3] === undefined || ground[3] === 1) return ground
    }
    return [255, 255, 255]
  }
  const contrast = (a, b) => {
    const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (light + 0.05) / (dark + 0.05)
  }
  let texts = 0
  for (const element of all) {
    const own = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE)
    const text = own.map(({ textContent }) => textContent?.trim() ?? '').join('')
    if (text === '' || element.closest('head, title, desc')) continue
    texts += 1
    const style = getComputedStyle(element)
    const ink = channels(element instanceof SVGElement ? style.fill : style.color)
    const found = contrast(ink, groundOf(element))
    if (found < 4.5) problems.push(`contrast ${found.toFixed(2)}: ${label(element)}`)
    if (Number.parseFloat(style.fontSize) < 12) problems.push(`too small: ${label(element)}`)
  }
  const isShape = /^s-|^p-(?!ink)|^line$|^dot$/
  for (const shape of document.querySelectorAll('svg [class]')) {
    const look = shape.getAttribute('class') ?? ''
    const style = getComputedStyle(shape)
    const ink = channels(look === 'line' ? style.stroke : style.fill)
    if (!isShape.test(look) || style.fill.startsWith('url')) continue
    const found = contrast(ink, groundOf(shape))
    if (found < 3) problems.push(`contrast ${found.toFixed(2)} of a shape: ${label(shape)}`)
  }
  for (const element of document.querySelectorAll('main *, header *, footer *')) {
    const { right, left, width } = element.getBoundingClientRect()
    const isInside = right <= innerWidth + 1 && left >= -1
    if (width > 0 && !isInside && !element.closest('.scroll > *, svg')) {
      problems.push(`sticks out: ${label(element)}`)
    }
  }
  const { scrollWidth } = document.documentElement
  return { width: scrollWidth, texts, pictures: pictures.length, problems: problems.slice(0, 20) }
}

inspect()
