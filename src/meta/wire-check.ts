import { isUtf8 } from 'node:buffer'
import type { DescField, DescMessage } from '@bufbuild/protobuf'
import { ScalarType } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { messageOf, SnapError } from '../errors.ts'

/** `google.protobuf.FieldDescriptorProto.Label.LABEL_REQUIRED` as protobuf-es resolves it. */
const LEGACY_REQUIRED = 3

/** Where bytes are: in what, and at which offset of it they begin. */
interface Place {
  readonly what: string
  readonly base: number
}

interface Layout {
  readonly fields: ReadonlyMap<number, DescField>
  readonly required: readonly DescField[]
}

const layouts = new WeakMap<DescMessage, Layout>()

function layoutOf(desc: DescMessage): Layout {
  const known = layouts.get(desc)
  if (known !== undefined) return known
  const layout: Layout = {
    fields: new Map(desc.fields.map((field) => [field.number, field])),
    required: desc.fields.filter((field) => field.presence === LEGACY_REQUIRED),
  }
  layouts.set(desc, layout)
  return layout
}

/** The wire type of one value of a field; our formats use varints, text, bytes and messages only. */
function wireTypeOf(field: DescField): WireType {
  if (field.message !== undefined) return WireType.LengthDelimited
  return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES
    ? WireType.LengthDelimited
    : WireType.Varint
}

function checkText(bytes: Uint8Array, field: DescField): void {
  if (!isUtf8(bytes)) throw new Error(`${field} is no valid UTF-8`)
  // The decoder would drop a byte order mark, and two names could become one.
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new Error(`${field} begins with a byte order mark`)
  }
}

function checkNested(field: DescField, bytes: Uint8Array, place: Place): void {
  if (field.message !== undefined) {
    checkMessage(field.message, bytes, place)
  } else if (field.scalar === ScalarType.STRING) {
    checkText(bytes, field)
  } else if (field.scalar !== ScalarType.BYTES) {
    const reader = new BinaryReader(bytes)
    while (reader.pos < bytes.length) reader.skip(WireType.Varint, field.number)
  }
}

function checkFields(desc: DescMessage, reader: BinaryReader, place: Place): void {
  const { fields, required } = layoutOf(desc)
  const seen = new Set<number>()
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    const field = fields.get(number)
    seen.add(number)
    // A list of numbers comes one by one or packed.
    const packed = field?.fieldKind === 'list' && wireType === WireType.LengthDelimited
    if (field !== undefined && wireType !== wireTypeOf(field) && !packed) {
      throw new Error(`${field} has wire type ${wireType}, expected ${wireTypeOf(field)}`)
    }
    if (field === undefined || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number)
    } else {
      const bytes = reader.bytes()
      checkNested(field, bytes, { ...place, base: place.base + reader.pos - bytes.length })
    }
  }
  for (const field of required) {
    if (!seen.has(field.number)) throw new Error(`${field} is missing`)
  }
}

function checkMessage(desc: DescMessage, bytes: Uint8Array, place: Place): void {
  const reader = new BinaryReader(bytes)
  try {
    checkFields(desc, reader, place)
  } catch (error) {
    if (error instanceof SnapError) throw error
    const offset = place.base + Math.min(reader.pos, bytes.length)
    const message = `${place.what}: offset ${offset}: ${messageOf(error)}`
    throw new SnapError('E_FORMAT', message, { cause: error })
  }
}

/**
 * Checks that `bytes` are one whole, well-formed message, before the tolerant decoder of the protobuf
 * library sees them: wire types as declared, nested lengths inside their message, valid UTF-8, every
 * required field there. Unknown fields pass.
 * @param what names the bytes in messages
 * @throws SnapError `E_FORMAT` with the offset
 */
export function checkWire(desc: DescMessage, bytes: Uint8Array, what: string): void {
  checkMessage(desc, bytes, { what, base: 0 })
}
