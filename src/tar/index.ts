/** Shard tars: the files of one shard, as influxd sends them and as it wants them. */
export { type EntryPath, formatEntryName, parseEntryName } from './names.ts'
export { type ReadTarOptions, readShardTar, type TarEntry } from './reader.ts'
export { type Asked, addStatement, STATEMENT_FILE, takeStatement } from './statement.ts'
export { type OnEntry, tapShardTar } from './tap.ts'
export { packShardTar, type TarEntryInput } from './writer.ts'
