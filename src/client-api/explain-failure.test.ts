import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import { explainFailure } from './explain-failure.ts'

// What the other server did, and what the client is told of it.
for (const [kind, options, told] of [
  ['refused', { status: 403, errcode: 'M_FORBIDDEN' }, [403, 'M_FORBIDDEN']],
  ['refused', { status: 404, errcode: 'M_NOT_FOUND' }, [404, 'M_NOT_FOUND']],
  ['refused', { status: 404, errcode: 'M_UNRECOGNIZED' }, [502, 'M_UNKNOWN']],
  ['refused', { status: 401, errcode: 'M_FORBIDDEN' }, [502, 'M_UNKNOWN']],
  ['refused', { status: 500, errcode: 'M_NOT_FOUND' }, [502, 'M_UNKNOWN']],
  ['refused', { status: 400, errcode: 'ORG_EVIL' }, [502, 'M_UNKNOWN']],
  ['refused', {}, [502, 'M_UNKNOWN']],
  ['unreachable', {}, [502, 'M_UNKNOWN']],
  ['backing-off', {}, [502, 'M_UNKNOWN']],
  ['bad-answer', {}, [502, 'M_UNKNOWN']],
] as const) {
  test(`${kind} ${JSON.stringify(options)} -> ${told.join(' ')}`, () => {
    const error = explainFailure(new FederationError('b' as ServerName, kind, 'words', options))
    assert.deepEqual([error?.status, error?.errcode], told)
  })
}

test('the version of a room we do not know is told', () => {
  const error = explainFailure(
    new FederationError('b' as ServerName, 'refused', 'words', {
      status: 400,
      errcode: 'M_INCOMPATIBLE_ROOM_VERSION',
      body: { room_version: '99' },
    }),
  )
  assert.deepEqual(error?.toJSON(), {
    errcode: 'M_INCOMPATIBLE_ROOM_VERSION',
    error: 'words',
    room_version: '99',
  })
})

test('other errors are not explained', () => {
  assert.equal(explainFailure(new Error('x')), undefined)
})
