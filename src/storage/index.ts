/** Where backup sets live. */
export { LocalStore } from './local.ts'
export type { ByteRange, Staged, Store, StoredObject } from './store.ts'
