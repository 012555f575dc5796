import { parentPort } from 'node:worker_threads'
import { placeAccess } from '../io/random-access.ts'
import { answerQuestions } from '../io/thread.ts'
import type { CheckQuestion } from './check-tsm.ts'
import { type CheckedTsm, checkHere } from './sum-files.ts'

// The program of the thread that checks TSM files.
if (parentPort !== null) {
  answerQuestions<CheckQuestion, CheckedTsm>(parentPort, ({ place, name, size, wish }) =>
    checkHere(placeAccess(place, name, size), wish),
  )
}
