// Bulk codecs over 64-bit integers and floats. Compiled by scripts/build-kernels, never by tsc.
//
// Every function works on memory that the caller lays out: `src` and `dst` are byte addresses. A decoder may read
// up to 16 bytes past its input (the caller keeps them there) and writes at most `limit` values. Results below zero
// are the error codes of errors.ts.
export { decodeTimes, encodeTimes } from './times'
export { decodeIntegers, encodeIntegers } from './integers'
export { decodeFloats, encodeFloats } from './floats'
export { isAscending, mergeTimes, sortTimes } from './order'
export { addBlock } from './blocks'
export { cutAt, cutBlock, textsAt, textsEnd } from './cut'
export { addBytes, addStrings, addWords, seedKey } from './fingerprint'
export { unpackSnappy } from './snappy'
export { linesEnd, writeLines } from './lines'
