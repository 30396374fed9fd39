import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import type { UserId } from '../identifiers/ids.ts'
import { roomVersions } from '../room-version.ts'
import { hasRedactionPower } from './redaction-power.ts'

const [alice, bob, carol, dan] = ['@alice:a', '@bob:b', '@carol:b', '@dan:d'] as const

// Who redacts an event of Bob's where redacting needs 50: Dan has that, and Carol is of Bob's server.
// Since version 3 the level decides, or that both are of one server; before, the auth rules have.
const cases: readonly {
  readonly what: string
  readonly by: UserId
  readonly level: number
  readonly sincev3: boolean
}[] = [
  { what: 'one who has more than the level', by: dan, level: 51, sincev3: true },
  { what: 'one who has just the level', by: dan, level: 50, sincev3: true },
  { what: 'one who lacks a little', by: dan, level: 49, sincev3: false },
  { what: 'one who lacks it, of the same server', by: carol, level: 0, sincev3: true },
  { what: 'who sent it', by: bob, level: 0, sincev3: true },
]

for (const version of roomVersions.values()) {
  for (const { what, by, level, sincev3 } of cases) {
    test(`v${version.id}: a redaction by ${what}`, () => {
      const room = new RoomWorld(version, { creator: alice })
      room.create()
      room.powerLevels({ users: { [by]: level }, redact: 50 })
      const target = room.send({ type: 'm.room.message', sender: bob })
      const redaction = { type: 'm.room.redaction', sender: by, redacts: target.event_id }
      const power = (pdu = room.make(redaction)) => hasRedactionPower(pdu, target, room.state)
      assert.equal(power(), version.redactionAuthRule || sincev3)
      // Events of another room are not affected by anybody.
      assert.equal(power(room.make({ ...redaction, room_id: '!other:a' })), false)
    })
  }
}
