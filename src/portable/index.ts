/** Backup sets as influxd writes them with -portable, and what snap adds; legacy directories, reading only. */
export type { Catalog, CatalogFile, SetSelection, SkippedShard } from './catalog.ts'
export { decodeCatalog, encodeCatalog } from './catalog.ts'
export type { LeftOut, LegacyBackup, LegacyFile, LegacyShard } from './legacy.ts'
export { readLegacy } from './legacy.ts'
export type { Manifest, ManifestEntry } from './manifest.ts'
export { decodeManifest, encodeManifest } from './manifest.ts'
export { decodeMetaFile, encodeMetaFile } from './meta-file.ts'
export {
  archiveName,
  archiveTarName,
  catalogName,
  formatSetName,
  manifestName,
  metaName,
  nextFreeSetName,
  openedName,
  parseFileName,
  parseSetName,
  sealedName,
  sidecarName,
} from './names.ts'
export type { SetWish } from './select-set.ts'
export { selectSet } from './select-set.ts'
export type { BackupSet, ClearSet, ListedSet, SetListing } from './sets.ts'
export { listSets, readClearSet, readSet, readSidecar } from './sets.ts'
export type { Sidecar, SidecarFile } from './sidecar.ts'
export { decodeSidecar, encodeSidecar } from './sidecar.ts'
export type { FileListing, ListedFile, SetSource, StoredFile } from './source.ts'
export type { TargetRules, UnfinishedSet } from './target.ts'
export { checkTarget, listUnfinished, takeSetName } from './target.ts'
