/**
 * The failpoints of units (`io/failpoints.ts`). What a unit is about is recognised by what it does, in
 * its own SQL: so the code that writes units does not know of failpoints, and one whose statement was
 * changed is not reached any more, which `npm run crash` finds.
 *
 * At `name/before` nothing of the unit is stored. At `name/after` it is, and who wrote it has not
 * learned it.
 *
 * @module
 */

import { type Failpoint, never } from '#io/failpoints.ts'
import { type Database, DatabaseFailed, type Sql, UnitFailed, type Writer } from './database.ts'

/** How the statements begin that are all in a unit which passes the place. */
const places: Readonly<Record<string, readonly string[]>> = {
  'stream-reservation': ['UPDATE stream SET'],
  'own-event': ['INSERT INTO events', 'INSERT INTO outbox'],
  'own-transaction': ['INSERT INTO transactions'],
  'staged-transaction': ['INSERT INTO incoming_transactions'],
  'staged-pdus': ['INSERT INTO staged_pdus'],
  'received-event': ['INSERT INTO events', 'DELETE FROM staged_pdus'],
  'outbox-done': ['DELETE FROM outbox WHERE destination'],
  'device-outbox': ['INSERT INTO device_outbox'],
  'device-outbox-done': ['DELETE FROM device_outbox'],
  'edu-outbox': ['INSERT INTO edu_outbox'],
  'edu-outbox-done': ['DELETE FROM edu_outbox'],
  'room-creation': ['INSERT INTO rooms'],
  'import-page': ['INSERT INTO room_imports', 'INSERT INTO events'],
  'import-end': ['INSERT INTO rooms', 'DELETE FROM room_imports'],
  'partial-join': ['INSERT INTO partial_rooms'],
  'partial-completion': ['INSERT INTO completed_rooms'],
  'local-membership': ['INSERT INTO local_memberships'],
  redaction: ['UPDATE events SET bytes'],
  'removal-begin': ['INSERT INTO room_imports', 'DELETE FROM rooms'],
  'removal-page': ['DELETE FROM events WHERE room_nid = ? AND event_nid IN'],
  'removal-end': ['DELETE FROM state_versions', 'DELETE FROM room_imports'],
  'history-removal': ['DELETE FROM missing_parents', 'UPDATE events SET status'],
  'to-device': ['INSERT INTO to_device_messages'],
  'to-device-received': ['INSERT INTO received_to_device'],
  'to-device-acknowledged': ['DELETE FROM to_device_messages'],
  'media-loose': ['INSERT INTO loose_media_files'],
  'media-row': ['INSERT INTO local_media'],
  'remote-media-row': ['INSERT INTO remote_media'],
  notified: ['INSERT INTO notified_events'],
  'push-done': ['UPDATE pushers SET'],
  'sliding-begin': ['INSERT INTO sliding_connections'],
  'sliding-advance': ['UPDATE sliding_connections SET'],
  receipt: ['INSERT INTO receipts'],
  'account-data': ['INSERT INTO account_data'],
  account: ['INSERT INTO accounts'],
  'device-keys': ['INSERT INTO device_keys'],
  'search-index': ['UPDATE event_index SET'],
}

/** The names of the places; each has a `/before` and an `/after`. */
export const unitPlaces: readonly string[] = Object.keys(places)

/** What stands for a unit that is neither committed nor refused. */
const hanging = new Error('the unit hangs: a failpoint')

/** `onFatal` is told where a commit is made to break, as the database itself would tell it. */
export function failingDatabase(
  db: Database,
  failpoint: Failpoint,
  onFatal: (error: Error) => void,
): Database {
  const reach = (names: readonly string[], moment: string, failure: () => Error) =>
    names.some((name) => failpoint.reach(`${name}/${moment}`, failure))
  return {
    all: (statement) => db.all(statement),
    first: (statement) => db.first(statement),
    close: () => db.close(),
    write: async <T>(collect: (tx: Writer) => T): Promise<Awaited<T>> => {
      let names: readonly string[] = []
      const refused = () => new UnitFailed('other', 'the disk is full: a failpoint')
      const broken = () => {
        const error = new DatabaseFailed('the commit broke: a failpoint')
        onFatal(error)
        return error
      }
      try {
        const outcome = await db.write((tx) => {
          const texts: string[] = []
          const given = collect(recording(tx, texts))
          names = placesOf(texts)
          if (reach(names, 'before', refused)) throw hanging
          return given
        })
        return reach(names, 'after', broken) ? await never() : outcome
      } catch (error) {
        if (error === hanging) return await never()
        throw error
      }
    },
  }
}

function recording(tx: Writer, texts: string[]): Writer {
  const note = (statement: Sql) => {
    texts.push(statement.texts.join('?').replaceAll(/\s+/g, ' ').trim())
    return statement
  }
  return {
    run: (statement) => tx.run(note(statement)),
    expect: (statement, otherwise) => tx.expect(note(statement), otherwise),
    returning: (statement) => tx.returning(note(statement)),
  }
}

function placesOf(texts: readonly string[]): string[] {
  const isIn = (beginning: string) => texts.some((text) => text.startsWith(beginning))
  return unitPlaces.filter((name) => places[name]?.every(isIn))
}
