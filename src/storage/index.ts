/** Where backup sets live. */
export { LocalStore } from './local.ts'
export { isProbe, type S3Options, S3Store } from './s3.ts'
export type { ByteRange, Staged, Store, StoredObject, Upload } from './store.ts'
