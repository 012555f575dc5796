import { basename, dirname } from 'node:path'
import { parentPort } from 'node:worker_threads'
import type { StagedFiles } from '../datadir/index.ts'
import { answerQuestions } from '../io/thread.ts'
import { LocalStore } from '../storage/local.ts'
import { archivePart } from './restorable.ts'
import { stageArchive } from './stage-archive.ts'
import type { StageQuestion } from './stage-shard.ts'

/** It is told every so many bytes how far a shard is. */
const REPORT_SIZE = 4 * 1024 * 1024

// The program of the threads that stage shards.
if (parentPort !== null) {
  answerQuestions<StageQuestion, StagedFiles>(parentPort, async (question, { signal, report }) => {
    const { path, part, shard, place, tempDir } = question
    const { tarSize, stored } = part
    const store = new LocalStore(dirname(path))
    const fileName = basename(path)
    const archive = { ...archivePart(store, { fileName, size: tarSize }, stored), ...part }
    let reported = 0
    const onBytes = (bytes: number) => {
      if (bytes - reported < REPORT_SIZE) return
      reported = bytes
      report(bytes)
    }
    return await stageArchive(shard, archive, { store, place, tempDir, onBytes, signal })
  })
}
