import v8 from 'node:v8'
v8.setFlagsFromString('--heap-growing-percent=30')
const { main } = await import(new URL('../dist/cli/main.js', import.meta.url).href)
await main()
