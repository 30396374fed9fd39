#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 ended as asked, 1 failed, 2 bad configuration or arguments.
 *
 * @module
 */

import { Command, CommanderError } from 'commander'
import { ConfigError } from '#config/load.ts'
import { makeBackup, restoreBackup } from './backup.ts'
import { addBlock, liftBlock, listBlocks } from './block.ts'
import { checkConfig } from './config.ts'
import { doctor } from './doctor.ts'
import { explain } from './explain.ts'
import { rotateKey } from './key.ts'
import { dropOutbox, listOutbox, retryOutbox } from './outbox.ts'
import { compareRooms } from './room.ts'
import { start } from './start.ts'
import { createUser, listUsers, resetPassword } from './user.ts'

const program = new Command('hansa')
  .description('A Matrix homeserver whose centre is federation.')
  .configureHelp({ showGlobalOptions: true })

const configOption = ['--config <file>', 'the configuration', 'hansa.yaml'] as const

program
  .command('start', { isDefault: true })
  .description('run the server; without a configuration, make one for this machine first')
  .option(...configOption)
  .action(start)

program
  .command('config')
  .description('the configuration')
  .addCommand(
    new Command('check')
      .description('say whether it can be used')
      .option(...configOption)
      .action(checkConfig),
  )

program
  .command('user')
  .description('accounts')
  .addCommand(
    new Command('create')
      .description('make an account')
      .argument('<name>', 'the part of the user ID before the colon')
      .option('--password <password>', 'the password; asked for, or made up, if it is not given')
      .option('--admin', 'an administrator', false)
      .option(...configOption)
      .action(createUser),
  )
  .addCommand(
    new Command('reset-password')
      .description('give an account another password and end its sessions')
      .argument('<name>')
      .option('--password <password>', 'the password; made up, if it is not given')
      .option(...configOption)
      .action(resetPassword),
  )
  .addCommand(
    new Command('list')
      .description('all accounts')
      .option(...configOption)
      .action(listUsers),
  )

program
  .command('doctor')
  .description(
    'examine another server as our federation sees it, or our store; exit code 1 if something is wrong',
  )
  .argument('[server]', 'its server name')
  .option('--store', 'examine the store of this server, which must not run', false)
  .option('--json', 'print what is found as JSON', false)
  .option(...configOption)
  .action(doctor)

program
  .command('backup')
  .description('copy the database, beside a server that runs if there is one')
  .argument('<file>', 'where to; it must not be there yet')
  .option(...configOption)
  .action(makeBackup)

program
  .command('restore')
  .description('put a copy of the database back, or say that one was put back by other means')
  .argument('[file]', 'the copy; none, if it was put back by other means')
  .option('--replace', 'lose the database that is there', false)
  .option(...configOption)
  .action(restoreBackup)

program
  .command('explain')
  .description('say what our server thinks of an event, and why')
  .argument('<event>', 'its event ID')
  .option('--room <room>', 'its room, if events of several rooms bear the ID')
  .option('--json', 'print it as JSON', false)
  .option(...configOption)
  .action(explain)

program
  .command('block')
  .description('rooms and servers that are shut out')
  .addCommand(
    new Command('add')
      .description('shut a room or a server out')
      .argument('<name>', 'a room ID or a server name')
      .option('--reason <reason>', 'why', '')
      .option(...configOption)
      .action(addBlock),
  )
  .addCommand(
    new Command('lift')
      .description('let it in again')
      .argument('<name>', 'a room ID or a server name')
      .option(...configOption)
      .action(liftBlock),
  )
  .addCommand(
    new Command('list')
      .description('all of them')
      .option(...configOption)
      .action(listBlocks),
  )

program
  .command('key')
  .description('the signing key of this server')
  .addCommand(
    new Command('rotate')
      .description('make another, which the server takes at its next start')
      .option(...configOption)
      .action(rotateKey),
  )

program
  .command('room')
  .description('rooms')
  .addCommand(
    new Command('compare')
      .description('show how our state of a room differs from that of another server')
      .argument('<room>', 'its room ID')
      .argument('<server>', 'the server name of the other one')
      .option('--json', 'print it as JSON', false)
      .option(...configOption)
      .action(compareRooms),
  )

program
  .command('outbox')
  .description('what other servers refused to take')
  .addCommand(
    new Command('list')
      .description('all of it, with the reason')
      .argument('[server]', 'only that of one server')
      .option('--json', 'print it as JSON', false)
      .option(...configOption)
      .action(listOutbox),
  )
  .addCommand(
    new Command('retry')
      .description('send it again')
      .argument('<server>', 'the server that refused it')
      .option('--stream <number>', 'only what has this position; all, if it is not given')
      .option(...configOption)
      .action(retryOutbox),
  )
  .addCommand(
    new Command('drop')
      .description('give it up for good')
      .argument('<server>', 'the server that refused it')
      .option('--stream <number>', 'only what has this position; all, if it is not given')
      .option(...configOption)
      .action(dropOutbox),
  )

/** What a command says of its arguments is thrown, however deep it stands. */
program.exitOverride()
for (const group of program.commands) {
  for (const one of [group, ...group.commands]) one.exitOverride()
}

/** What is printed and the exit code for something that was thrown. */
function failure(error: unknown): { message: string; code: number } {
  // Commander has printed its own.
  if (error instanceof CommanderError) return { message: '', code: error.exitCode === 0 ? 0 : 2 }
  if (error instanceof ConfigError) {
    return { message: `The configuration cannot be used.\n${error.message}`, code: 2 }
  }
  if (error instanceof Error) return { message: error.message, code: 1 }
  return { message: String(error), code: 1 }
}

try {
  await program.parseAsync()
} catch (error) {
  const { message, code } = failure(error)
  if (message) console.error(message)
  if (process.env.HANSA_TEST_STACK) console.error(error)
  // Whatever was opened before it failed does not keep the program.
  process.exit(code)
}
