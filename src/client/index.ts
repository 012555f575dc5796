export { type Address, formatAddress, parseAddress } from './address.ts'
export { Client } from './client.ts'
export type { Host } from './dial.ts'
export { HttpClient, type HttpOptions, type QueryRow } from './http.ts'
export { LineWriter, shownUrl, type WriteApi, type WriteEndpoint } from './http-write.ts'
export type { MetaUpdateRequest } from './meta-update.ts'
export type {
  ClientOptions,
  ShardBackupRequest,
  ShardExportRequest,
  ShardSelection,
} from './options.ts'
export type { ClientTls } from './tls.ts'
