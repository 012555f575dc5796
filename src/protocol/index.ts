export {
  BackupMagicHeader,
  MAX_REQUEST_SIZE,
  MAX_UPLOAD_SIZE,
  MuxHeader,
  RequestType,
} from './constants.ts'
export { type ExactJson, encodeGoJson, type GoJson, JsonNumber } from './go-json.ts'
export { formatGoTime, GO_ZERO_TIME, parseGoTime } from './go-time.ts'
export {
  decodeMetastoreFrame,
  encodeMetastoreFrame,
  MAX_FRAME_SIZE,
  type MetastoreFrame,
} from './metastore-frame.ts'
export { ObjectScanner } from './object-scanner.ts'
export { encodeOpening, encodeUploadOpening } from './opening.ts'
export {
  asksFor,
  decodeRequest,
  oversizedRequest,
  type ReceivedRequest,
  type Request,
  toShardId,
} from './request.ts'
export { decodeResponse, encodeResponse, type PathState, type Response } from './response.ts'
export { decodeShardIds, encodeShardIds, MAX_SHARD_IDS_SIZE } from './shard-ids.ts'
export { parseShardPath, type ShardPath } from './shard-path.ts'
export {
  DOOR_PROTOCOL,
  decodeTokenLine,
  encodeTokenLine,
  MAX_TOKEN_LINE,
  parseTokens,
} from './token.ts'
