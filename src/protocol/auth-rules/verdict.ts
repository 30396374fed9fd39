/**
 * What the auth rules say of an event: allowed, or rejected with the rule that decided.
 *
 * @module
 */

export type Verdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly rule: string }

export const ALLOW: Verdict = { allowed: true }

/** A rejection. `rule` is a short sentence that names what the event breaks. */
export function reject(rule: string): Verdict {
  return { allowed: false, rule }
}
