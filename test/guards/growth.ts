/**
 * Guards against what grows and floods (D11 to D15).
 *
 * @module
 */

import { type Guard, one, out, ruleCases, seenBy } from './guard.ts'

const jsonReader = 'src/protocol/json-reader.ts'

const imageGuards: readonly Guard[] = [
  one(
    'D11',
    'the kinds of images that are decoded',
    ['src/io/thumbnailer-process.ts', "sharp.block({ operation: ['VipsForeignLoad'] })"],
    seenBy('src/io/thumbnailer.test.ts', 'a bomb does no harm: ${what}'),
  ),
  one(
    'D11',
    'the number of pixels',
    [
      'src/io/thumbnailer-process.ts',
      'const pixelsMax = 32_000_000',
      'const pixelsMax = 320_000_000',
    ],
    seenBy('src/io/thumbnailer.test.ts', 'a bomb does no harm: ${what}'),
  ),
]

const growthGuards: readonly Guard[] = [
  one(
    'D12',
    'the length of a text in a schema',
    [
      'src/schema/schema.ts',
      'return Type.String(min > 0 ? { minLength: min, maxLength: max } : { maxLength: max })',
      'return Type.String(min > 0 ? { minLength: min } : {})',
    ],
    seenBy('test/contract/limits.test.ts', 'every text, list and number of a request has a limit'),
  ),
  one(
    'D12',
    'the threads in which receipts are kept',
    [
      'src/users/receipts.ts',
      'for (const readers of inThreads(receipts)) trimThreadReceipts(tx, readers, threadsMax)',
    ],
    seenBy(
      'test/edu-matrix.test.ts',
      'of receipts in ever new threads, and of presence of ever new users, some are kept',
    ),
  ),
  one(
    'D12',
    'the messages that wait for a device',
    ['src/users/to-device.ts', 'if (full.length === 0) return\n', 'return\n'],
    seenBy(
      'src/users/to-device.test.ts',
      'too much for a device that does not ask drops the oldest',
    ),
  ),
  {
    attack: 'D13',
    guard:
      'the memory of what was met in a tree of rooms, when it is seen and when it is put in line',
    edits: [
      out('src/directory/hierarchy.ts', 'if (visited.has(visit.roomId)) continue'),
      out(
        'src/directory/hierarchy.ts',
        'room.children_state.filter((child) => !walk.visited.has(child.state_key))',
        'room.children_state',
      ),
    ],
    witness: seenBy(
      'src/client-api/space-hierarchy.test.ts',
      'a tree is walked depth first, in the order of the children, each room once',
    ),
  },
  one(
    'D14',
    'the key __proto__ as a member',
    [jsonReader, "if (key !== '__proto__') object[key] = value", 'if (true) object[key] = value'],
    seenBy(
      'src/protocol/json-reader.test.ts',
      'a key __proto__ is a member and changes nothing else',
    ),
  ),
  one(
    'D14',
    'the look at own members only, of signatures',
    [
      'src/protocol/signatures.ts',
      'return Object.hasOwn(object, key) ? object[key] : undefined',
      'return object[key]',
    ],
    seenBy('src/protocol/signatures.test.ts', 'names that every object inherits are no signatures'),
  ),
  one(
    'D14',
    'the look at own members only, of power levels',
    [
      'src/protocol/auth-rules/room-levels.ts',
      'const value: Json | undefined = Object.hasOwn(entries, key) ? entries[key] : undefined',
      'const value: Json | undefined = entries[key]',
    ],
    ruleCases('check.test.ts', 'required power level'),
  ),
  one(
    'D15',
    'the shedding of what is least urgent',
    ['src/pressure/pressure.ts', 'classes.indexOf(classOf(endpoint)) < this.#shed', 'false'],
    seenBy(
      'src/pressure/pressure.test.ts',
      'while the thread lags, one class after the other is shed, and never our own users',
    ),
  ),
  one(
    'D15',
    'the rule that who floods displaces their own',
    [
      'src/rooms/staged-limit.ts',
      'const [most] = [...byServer.values()].toSorted((a, b) => b.length - a.length)',
      'const [most] = [...byServer.values()].toSorted((a, b) => a.length - b.length).filter((all) => all.length > 0)',
    ],
    seenBy(
      'src/rooms/staged-work.test.ts',
      'a server that floods a room with what leads nowhere displaces its own events, and no others',
    ),
  ),
]

const floodGuards: readonly Guard[] = [
  one(
    'D15',
    'the count of what is about to be staged for a room',
    ['src/rooms/staged-room.ts', 'this.#arriving += reserved', ''],
    seenBy(
      'src/rooms/staged-limit.test.ts',
      'many servers that send at once do not bring more than the limit together',
    ),
  ),
  {
    attack: 'D15',
    guard: 'the line of one server’s transactions, before their bodies are read and after',
    edits: [
      out(
        'src/federation/receive-transactions.ts',
        'const isFull = lines.get(origin)?.count === perOriginMax',
        'const isFull = false',
      ),
      out(
        'src/federation/receive-transactions.ts',
        'if (line.count === perOriginMax) await parts.refusals.refuse(oneAtATime())',
      ),
    ],
    witness: seenBy(
      'test/transactions.test.ts',
      'of one server one transaction is worked on and one waits; a third has to come again',
    ),
    error: 'no answer within',
  },
  one(
    'D15',
    'the share of the thread that one server may use',
    [
      'src/rooms/fair-share.ts',
      'return Math.max(0, bucket.fullAtMs - clock.monotonicMs() - burstMs / rate)',
      'return 0',
    ],
    seenBy(
      'src/rooms/fair-share.test.ts',
      'who has used much waits while another wants the thread, and no longer',
    ),
  ),
  one(
    'D15',
    'the line in which what servers sent waits for the disk',
    ['src/rooms/fair-line.ts', 'while (this.#size < this.#sizeMax) {', 'while (true) {'],
    seenBy(
      'src/rooms/fair-line.test.ts',
      'a message of a user of ours does not wait until all is committed that a server sent of many rooms',
    ),
  ),
]

export const guardsOfGrowth: readonly Guard[] = [...imageGuards, ...growthGuards, ...floodGuards]
