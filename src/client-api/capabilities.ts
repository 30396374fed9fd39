/**
 * Tells clients what their user may do.
 *
 * @module
 */

import { getCapabilities } from '#endpoints/client-server/capabilities.ts'
import { answer } from '#http/endpoint.ts'
import { roomVersions } from '#protocol/room-version.ts'
import type { Server } from '#server.ts'
import { delayMaxMs, eventsMax } from '#users/delayed-events.ts'

export const capabilitiesRoute = answer(
  getCapabilities,
  async ({ session }, needs: Pick<Server, 'defaultRoomVersion' | 'users'>) => {
    const { defaultRoomVersion, users } = needs
    const account = await users.accounts.account(session.userId)
    const mayChange = { enabled: !session.guest }
    const available = Object.fromEntries([...roomVersions.keys()].map((id) => [id, 'stable']))
    return {
      capabilities: {
        'm.room_versions': { default: defaultRoomVersion, available },
        'm.change_password': mayChange,
        'm.get_login_token': mayChange,
        'm.profile_fields': { enabled: true, ...(session.guest && { allowed: ['displayname'] }) },
        'm.set_displayname': { enabled: true },
        // Servers that forbid setting it in m.profile_fields MUST also say so here.
        'm.set_avatar_url': mayChange,
        'm.3pid_changes': { enabled: users.addresses.canSend && !session.guest },
        'm.forget_forced_upon_leave': { enabled: false },
        'org.matrix.msc4140.delayed_events': { max_delay_ms: delayMaxMs, max_scheduled: eventsMax },
        ...(account?.admin && { 'm.account_moderation': { suspend: true, lock: true } }),
      },
    }
  },
)
