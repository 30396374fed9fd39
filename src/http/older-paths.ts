/**
 * Under which paths clients ask for operations that have others by now: those of the versions of the API
 * before it had one number, and those of proposals that have become part of the specification. What is
 * asked for there is answered as it is at its place.
 *
 * @module
 */

/** Beginnings of paths, each with what stands in its place. */
const beginnings: readonly (readonly [older: string, current: string])[] = [
  ['/_matrix/client/r0/', '/_matrix/client/v3/'],
  ['/_matrix/media/r0/', '/_matrix/media/v3/'],
  ['/_matrix/media/v1/', '/_matrix/media/v3/'],
  // Relations.
  ['/_matrix/client/unstable/rooms/', '/_matrix/client/v1/rooms/'],
  // Spaces, and what rooms look like from outside.
  ['/_matrix/client/unstable/org.matrix.msc2946/', '/_matrix/client/v1/'],
  ['/_matrix/client/unstable/im.nheko.summary/summary/', '/_matrix/client/v1/room_summary/'],
  // Jumping to a date.
  ['/_matrix/client/unstable/org.matrix.msc3030/', '/_matrix/client/v1/'],
  // Threads.
  ['/_matrix/client/unstable/org.matrix.msc3856/', '/_matrix/client/v1/'],
  // Media for those who are logged in.
  ['/_matrix/client/unstable/org.matrix.msc3916/media/', '/_matrix/client/v1/media/'],
  // Fields of profiles.
  ['/_matrix/client/unstable/uk.tcpip.msc4133/profile/', '/_matrix/client/v3/profile/'],
  // Locking and suspending accounts.
  ['/_matrix/client/unstable/uk.timedout.msc4323/admin/', '/_matrix/client/v1/admin/'],
]

/** Where an operation is by now that is asked for at an older path; `undefined` if it is none. */
export function currentPath(path: string): string | undefined {
  const found = beginnings.find(([older]) => path.startsWith(older))
  return found && found[1] + path.slice(found[0].length)
}
