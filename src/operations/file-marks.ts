/** Files of one listing by their numbers, so that which of them a set has takes a bit each. */
export interface FileTable {
  readonly names: readonly string[]
  readonly numbers: ReadonlyMap<string, number>
}

/** Some of the files of a {@link FileTable}: bit `number % 8` of byte `number / 8`. */
export type FileMarks = Uint8Array

/** Numbers files. */
export function fileTable(fileNames: Iterable<string>): FileTable {
  const names = [...fileNames]
  return { names, numbers: new Map(names.map((name, number) => [name, number])) }
}

/** Marks files; names that are not in the table are passed over. */
export function markFiles(table: FileTable, fileNames: Iterable<string>): FileMarks {
  const marks = new Uint8Array(Math.ceil(table.names.length / 8))
  for (const name of fileNames) {
    const number = table.numbers.get(name)
    if (number !== undefined) marks[number >> 3] = (marks[number >> 3] ?? 0) | (1 << (number & 7))
  }
  return marks
}

/** Returns what is marked in any of `many`. */
export function uniteMarks(table: FileTable, many: Iterable<FileMarks>): FileMarks {
  const united = markFiles(table, [])
  for (const marks of many) {
    for (const [at, byte] of marks.entries()) united[at] = (united[at] ?? 0) | byte
  }
  return united
}

/** Returns the names that are marked, and not in `without`. */
export function markedFiles(table: FileTable, marks: FileMarks, without: FileMarks): string[] {
  return table.names.filter(
    (_name, number) => isMarked(marks, number) && !isMarked(without, number),
  )
}

function isMarked(marks: FileMarks, number: number): boolean {
  return ((marks[number >> 3] ?? 0) & (1 << (number & 7))) !== 0
}
