/**
 * `hansa user create`, `reset-password`, `list`: accounts, worked on in the database itself. A
 * running server sees the outcome; the tokens of sessions that end are known to it for some seconds.
 *
 * @module
 */

import { realArgon2id } from '#io/argon2id.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { type Accounts, createAccounts } from '#users/accounts.ts'
import { createPasswords } from '#users/passwords.ts'
import { createSessions, type Sessions } from '#users/sessions.ts'
import { randomWord } from '#users/tokens.ts'
import { readConfig } from './config.ts'
import { openStore } from './store.ts'

/** How many letters a password has that is made up: some 100 bits. */
const passwordLength = 20

async function withAccounts(
  configPath: string,
  work: (users: { accounts: Accounts; sessions: Sessions }) => Promise<void>,
): Promise<void> {
  const config = await readConfig(configPath)
  const db = await openStore(config)
  try {
    const needs = { db, clock: realClock, random: realRandom }
    const sessions = createSessions(needs)
    const passwords = createPasswords({
      argon2id: realArgon2id,
      random: realRandom,
      passes: config.password_hash_cost ?? undefined,
    })
    const serverName = config.server_name
    await work({
      sessions,
      accounts: createAccounts({ ...needs, serverName, passwords, sessions }),
    })
  } finally {
    await db.close()
  }
}

function passwordFor(given: string | undefined): { password: string; told: string } {
  if (given !== undefined) return { password: given, told: '' }
  const password = randomWord(realRandom, passwordLength)
  return { password, told: ` Its password is ${password}` }
}

export async function createUser(
  username: string,
  options: { password?: string; admin: boolean; config: string },
): Promise<void> {
  await withAccounts(options.config, async ({ accounts }) => {
    const { password, told } = passwordFor(options.password)
    const { userId } = await accounts.register({ username, password, admin: options.admin })
    console.log(`${userId} has an account.${told}`)
  })
}

export async function resetPassword(
  name: string,
  options: { password?: string; config: string },
): Promise<void> {
  await withAccounts(options.config, async ({ accounts, sessions }) => {
    const userId = accounts.userIdNamed(name)
    if (userId === undefined || !(await accounts.exists(userId))) {
      throw new Error(`There is no account ${name} here.`)
    }
    const { password, told } = passwordFor(options.password)
    await accounts.setPassword(userId, password)
    await sessions.logoutAll(userId)
    console.log(`${userId} has another password, and all its sessions have ended.${told}`)
  })
}

export async function listUsers(options: { config: string }): Promise<void> {
  await withAccounts(options.config, async ({ accounts }) => {
    const pageSize = 100
    let after = ''
    for (;;) {
      const page = await accounts.list(after, pageSize)
      for (const { userId, admin, guest, deactivatedTs } of page) {
        const notes = [admin && 'administrator', guest && 'guest', deactivatedTs && 'deactivated']
        console.log([userId, ...notes.filter(Boolean)].join('  '))
      }
      const last = page.at(-1)
      if (last === undefined || page.length < pageSize) return
      after = last.userId
    }
  })
}
