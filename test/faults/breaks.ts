import type { Command, Direction, Step } from './commands.ts'
import type { Place } from './places.ts'

const HOWS = ['fin', 'rst', 'stall'] as const

/** A line that breaks, always, at one place of one request. */
export interface Break {
  readonly step: Step
  readonly direction: Direction
  readonly place: Place
  readonly how: (typeof HOWS)[number]
}

/** All of them, or a part that is quick enough for every run: each place of the two main commands is in it. */
export function breaksOf(
  { name, steps }: Command,
  isSlow: boolean,
): (readonly [title: string, Break])[] {
  const isMain = name === 'backup' || name === 'restore'
  const all = steps.flatMap((step) =>
    (['toServer', 'toClient'] as const).flatMap((direction) =>
      step.places[direction].flatMap((place) =>
        HOWS.map((how) => {
          const title = `${how}, ${step.name}, ${direction}, ${place.name}`
          return [title, { step, direction, place, how }] as const
        }),
      ),
    ),
  )
  if (isSlow) return all
  return all.filter(([, broken], i) => isQuick(broken) && isChosen(broken, i, isMain))
}

function isQuick({ step, direction, place, how }: Break): boolean {
  const isEmptyAnswer = direction === 'toServer' || place.name === 'before the first byte'
  return !(step.isPatient && how === 'fin' && isEmptyAnswer)
}

/** Of the two main commands every place is met, by one kind of break or another; of the others some. */
function isChosen({ how }: Break, i: number, isMain: boolean): boolean {
  if (!isMain) return i % 5 === 0
  return how === 'fin' || Math.floor(i / HOWS.length) % 2 === (how === 'rst' ? 0 : 1)
}
