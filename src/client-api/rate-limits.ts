/**
 * How often clients may ask. Synapse's default of one message in five seconds is known to hinder
 * people who write; these are for what no person does.
 *
 * @module
 */

import type { RateLimits } from '#http/rate-limit.ts'

/** Guessing passwords and hoarding names. */
const entry = { name: 'entry', perSecond: 0.2, burst: 20 }
const mail = { name: 'mail', perSecond: 0.02, burst: 10 }
const sending = { name: 'sending', perSecond: 5, burst: 50 }
const joining = { name: 'joining', perSecond: 0.5, burst: 30 }
/** Each makes us ask up to twenty servers. */
const notary = { name: 'notary', perSecond: 2, burst: 100 }
const inviting = { name: 'inviting', perSecond: 0.5, burst: 50 }

export const clientRateLimits: RateLimits = {
  byOperation: {
    login: entry,
    register: entry,
    registerWithSecret: { name: 'secret', perSecond: 5, burst: 200 },
    hansaRegisterWithSecret: { name: 'secret', perSecond: 5, burst: 200 },
    checkUsernameAvailability: { name: 'names', perSecond: 1, burst: 20 },
    registrationTokenValidity: { name: 'tokens', perSecond: 0.2, burst: 10 },
    changePassword: entry,
    deactivateAccount: entry,
    deleteDevice: entry,
    deleteDevices: entry,
    uploadCrossSigningKeys: entry,
    generateLoginToken: entry,
    sendMessage: sending,
    sendDelayedEvent: sending,
    setRoomStateWithKey: sending,
    redactEvent: sending,
    createRoom: joining,
    joinRoom: joining,
    joinRoomById: joining,
    knockRoom: joining,
    inviteUser: inviting,
    // Each is a mail.
    requestTokenTo3PIDEmail: mail,
    requestTokenToRegisterEmail: mail,
    requestTokenToResetPasswordEmail: mail,
    hansaConfirmAddress: entry,
    hansaShowConfirmAddress: entry,
    // What makes us ask servers that the user names.
    bind3PID: { name: 'binding', perSecond: 0.2, burst: 20 },
    unbind3pidFromAccount: { name: 'binding', perSecond: 0.2, burst: 20 },
    delete3pidFromAccount: { name: 'binding', perSecond: 0.2, burst: 20 },
    searchUserDirectory: { name: 'users', perSecond: 5, burst: 50 },
    setPresence: { name: 'presence', perSecond: 1, burst: 20 },
    // What others may ask without a name, and what makes us ask others.
    onBindThirdPartyIdentifier: { name: 'onbind', perSecond: 0.5, burst: 20 },
    perspectivesKeyQuery: notary,
    bulkPerspectivesKeyQuery: notary,
    exchangeOpenIdToken: { name: 'openid', perSecond: 20, burst: 200 },
    getEventByTimestamp: { name: 'by time', perSecond: 2, burst: 30 },
    getSpaceHierarchy: { name: 'spaces', perSecond: 5, burst: 50 },
    getUrlPreview: { name: 'previews', perSecond: 1, burst: 50 },
    getUrlPreviewAuthed: { name: 'previews', perSecond: 1, burst: 50 },
    getRoomSummary: { name: 'summaries', perSecond: 5, burst: 50 },
  },
  otherwise: { perSecond: 50, burst: 500 },
}
