/** The age file format, age-encryption.org/v1: headers and keys by the package, the payload by node:crypto. */
export {
  beginFile,
  checkEnd,
  cutHeader,
  type FileHead,
  fileSize,
  MAX_HEAD_SIZE,
  type NewFile,
  openHead,
  plainSize,
  readFile,
  readFileRange,
  type SealedFile,
  USUAL_HEAD_SIZE,
  writeFile,
} from './file.ts'
export {
  type Identities,
  identitiesOf,
  NOBODY,
  parseIdentityLines,
  parseRecipientLines,
  passphraseRecipient,
  type Recipients,
  recipientsOf,
  type Secrets,
} from './keys.ts'
