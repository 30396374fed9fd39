/**
 * Files in encrypted rooms ("Sending encrypted attachments"), and images with their thumbnails.
 *
 * @module
 */

import type { MatrixClient } from 'matrix-js-sdk'
import type { EncryptedFile, ImageContent } from 'matrix-js-sdk/lib/types.js'

const thumbnailSide = 320

/** Uploads an image and a small one made of it, encrypted, and gives the message that shows them. */
export async function imageMessage(client: MatrixClient, file: File): Promise<ImageContent> {
  const image = await createImageBitmap(file)
  const { width: w, height: h } = image
  const scale = Math.min(1, thumbnailSide / Math.max(w, h))
  const canvas = new OffscreenCanvas(Math.round(w * scale), Math.round(h * scale))
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height)
  const thumbnail = await canvas.convertToBlob({ type: 'image/png' })
  return {
    msgtype: 'm.image' as ImageContent['msgtype'],
    body: file.name,
    file: await uploaded(client, file),
    info: {
      mimetype: file.type,
      size: file.size,
      w,
      h,
      thumbnail_file: await uploaded(client, thumbnail),
      thumbnail_info: {
        mimetype: thumbnail.type,
        size: thumbnail.size,
        w: canvas.width,
        h: canvas.height,
      },
    },
  }
}

async function uploaded(client: MatrixClient, file: Blob): Promise<EncryptedFile> {
  const iv = new Uint8Array(16)
  crypto.getRandomValues(iv.subarray(0, 8))
  const usages = ['encrypt', 'decrypt'] as const
  const key = await crypto.subtle.generateKey({ name: 'AES-CTR', length: 256 }, true, usages)
  const counter = { name: 'AES-CTR', counter: iv, length: 64 }
  const bytes = await crypto.subtle.encrypt(counter, key, await file.arrayBuffer())
  const { content_uri: url } = await client.uploadContent(new Blob([bytes]), {
    type: 'application/octet-stream',
    includeFilename: false,
  })
  const exported = await crypto.subtle.exportKey('jwk', key)
  return {
    v: 'v2',
    url,
    key: exported as EncryptedFile['key'],
    iv: base64(iv),
    hashes: { sha256: base64(await crypto.subtle.digest('SHA-256', bytes)) },
  }
}

/** What an encrypted file holds. Throws if it is not what its message says. */
export async function decrypted(
  client: MatrixClient,
  file: EncryptedFile,
  type: string,
): Promise<Blob> {
  const url = client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true)
  const answer = await fetch(String(url))
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
  const bytes = await answer.arrayBuffer()
  if (base64(await crypto.subtle.digest('SHA-256', bytes)) !== file.hashes.sha256) {
    throw new Error('the file is not what was sent')
  }
  const key = await crypto.subtle.importKey('jwk', file.key, 'AES-CTR', false, ['decrypt'])
  const counter = { name: 'AES-CTR', counter: Uint8Array.fromBase64(file.iv), length: 64 }
  return new Blob([await crypto.subtle.decrypt(counter, key, bytes)], { type })
}

function base64(bytes: Uint8Array | ArrayBuffer): string {
  return new Uint8Array(bytes).toBase64({ omitPadding: true })
}
