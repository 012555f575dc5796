// Error codes; kernels.ts has the words for them.
export const ERR_SHORT: i32 = -1
export const ERR_ENCODING: i32 = -2
export const ERR_LIMIT: i32 = -3
export const ERR_VARINT: i32 = -4
export const ERR_TRAILING: i32 = -5
export const ERR_NAN: i32 = -6
export const ERR_WINDOW: i32 = -7
export const ERR_SNAPPY: i32 = -8
