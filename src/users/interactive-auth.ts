/**
 * User-interactive authentication: an operation is asked for again and again, each time with the
 * proof of one more stage, until a whole flow is complete.
 *
 * What is remembered between two requests is which stages were completed for which operation, for a
 * quarter of an hour and in memory: never what the client sent, which may hold a password.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { randomWord } from './tokens.ts'

export type Stage =
  | 'm.login.dummy'
  | 'm.login.email.identity'
  | 'm.login.password'
  | 'm.login.registration_token'

const sessionsMax = 10_000
const sessionMsMax = 900_000

interface AuthSession {
  readonly operation: string
  readonly completed: Set<Stage>
  /** What the completed stages have shown. */
  readonly shown: object
  readonly startedMs: number
}

/** The answer of an operation that needs more proof: no error as long as nothing was wrong. */
class MoreProofNeeded extends MatrixError {
  readonly #failed: MatrixError | undefined

  constructor(failed: MatrixError | undefined, extra: Readonly<Record<string, unknown>>) {
    super(401, failed?.errcode ?? 'M_UNAUTHORIZED', failed?.message ?? 'More proof is needed.', {
      extra,
    })
    this.#failed = failed
  }

  override toJSON(): Record<string, unknown> {
    return this.#failed === undefined ? { ...this.extra } : super.toJSON()
  }
}

export interface InteractiveAuth {
  /**
   * Returns once a flow is complete, and throws the 401 that asks for the next stage before. The
   * operation names what is done and by whom: stages of one do not count for another. `checkStage`
   * throws a `MatrixError` if the proof of a stage is not good, else may give what it shows; all of it
   * together is what is returned.
   */
  complete<Shown extends object = object>(request: CompleteRequest<Shown>): Promise<Shown>
}

interface CompleteRequest<Shown extends object> {
  readonly operation: string
  readonly flows: readonly (readonly Stage[])[]
  readonly auth: JsonObject | undefined
  readonly checkStage: CheckStage<Shown>
}

// biome-ignore lint/suspicious/noConfusingVoidType: Most stages show nothing but that they are complete.
type CheckStage<Shown extends object> = (stage: Stage, auth: JsonObject) => Promise<Shown | void>

export function createInteractiveAuth(needs: {
  readonly clock: Clock
  readonly random: Random
}): InteractiveAuth {
  const { clock, random } = needs
  const sessions = new LRUCache<string, AuthSession>({
    maxSize: sessionsMax,
    sizeCalculation: () => 1,
  })

  const sessionOf = (id: unknown, operation: string): [string, AuthSession] => {
    const session = typeof id === 'string' ? sessions.get(id) : undefined
    const isOver = session && clock.monotonicMs() - session.startedMs > sessionMsMax
    if (typeof id === 'string' && session && !isOver && session.operation === operation) {
      return [id, session]
    }
    const startedMs = clock.monotonicMs()
    const started = { operation, completed: new Set<Stage>(), shown: {}, startedMs }
    return [randomWord(random, 24), started]
  }

  return {
    complete: async <Shown extends object>({
      operation,
      flows,
      auth,
      checkStage,
    }: CompleteRequest<Shown>) => {
      const [id, session] = sessionOf(auth?.session, operation)
      const isComplete = () => flows.some((flow) => flow.every((one) => session.completed.has(one)))
      const failed = await tryStage({ flows, auth, checkStage, session })
      if (failed === undefined && isComplete()) {
        sessions.delete(id)
        return session.shown as Shown
      }
      sessions.set(id, session)
      throw new MoreProofNeeded(failed, {
        flows: flows.map((stages) => ({ stages })),
        params: {},
        session: id,
        ...(session.completed.size > 0 && { completed: [...session.completed] }),
      })
    },
  }
}

/** Completes the stage that the request proves, if any; gives what is wrong with the proof. */
async function tryStage(request: {
  flows: readonly (readonly Stage[])[]
  auth: JsonObject | undefined
  checkStage: CheckStage<object>
  session: AuthSession
}): Promise<MatrixError | undefined> {
  const { auth, session } = request
  if (auth?.type === undefined) return undefined
  const stage = request.flows.flat().find((one) => one === auth.type)
  if (stage === undefined) {
    return new MatrixError(401, 'M_UNKNOWN', 'This type of authentication is not asked for here.')
  }
  try {
    Object.assign(session.shown, await request.checkStage(stage, auth))
  } catch (error) {
    // What is forbidden stays so however often it is tried.
    if (!(error instanceof MatrixError) || error.status >= 429) throw error
    if (error.status === 403 && error.errcode === 'M_FORBIDDEN') throw error
    return error
  }
  session.completed.add(stage)
  return undefined
}
