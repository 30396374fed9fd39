/**
 * Checks values against schemas. Validators are compiled at first use; what is wrong is worked out
 * only once something is.
 *
 * @module
 */

import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'

/** The first thing that is wrong with a value. */
export interface Problem {
  /** Whether something required is absent, rather than something present being wrong. */
  readonly missing: boolean
  /** Where, as a path of keys: `events/3/type`; empty for the value itself. */
  readonly path: string
  /** What was expected: `must be a user ID such as @alice:example.org`. */
  readonly expected: string
}

const validators = new WeakMap<TSchema, Validator>()

function validatorOf(schema: TSchema): Validator {
  const known = validators.get(schema)
  if (known !== undefined) return known
  const validator: Validator = Compile(schema)
  validators.set(schema, validator)
  return validator
}

export function matches<T extends TSchema>(schema: T, value: unknown): value is Static<T> {
  return validatorOf(schema).Check(value)
}

/** What is wrong with a value, or `undefined` if nothing is. */
export function problemWith(schema: TSchema, value: unknown): Problem | undefined {
  const validator = validatorOf(schema)
  if (validator.Check(value)) return undefined
  const [error] = validator.Errors(value)
  if (error === undefined) return { missing: false, path: '', expected: 'must be different' }
  const path = error.instancePath.slice(1)
  if (error.keyword === 'required') {
    const [key = ''] = error.params.requiredProperties
    return { missing: true, path: path === '' ? key : `${path}/${key}`, expected: 'is required' }
  }
  return { missing: false, path, expected: error.message }
}

/** A problem as a sentence for whoever sent the value. */
export function sentence(problem: Problem): string {
  const subject = problem.path === '' ? 'The value' : `'${problem.path}'`
  return `${subject} ${problem.expected}.`
}
