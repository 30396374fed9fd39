/**
 * Makes small images of large ones. Whoever decodes what strangers send may be led astray by it, so
 * the real one works in a process of its own.
 *
 * @module
 */

export interface ThumbnailRequest {
  /** The file with the image. */
  readonly path: string
  /** In pixels; the thumbnail is not smaller, unless the image is. */
  readonly width: number
  readonly height: number
  /** `scale` keeps the whole image, `crop` the shape that is asked for. */
  readonly method: 'crop' | 'scale'
  /** Whether the thumbnail of an animation may move. */
  readonly animated: boolean
}

export type ThumbnailAnswer =
  | { readonly kind: 'made'; readonly bytes: Uint8Array; readonly contentType: string }
  /** The image is no larger than what is asked for. */
  | { readonly kind: 'original' }
  /** It has more pixels than are decoded, or took too long. */
  | { readonly kind: 'too-large' }
  | { readonly kind: 'not-an-image' }
  /** No thumbnails can be made: too many are asked for at once, or the library is missing. */
  | { readonly kind: 'unavailable' }

export interface Thumbnailer {
  make(request: ThumbnailRequest): Promise<ThumbnailAnswer>
  close(): Promise<void>
}

/** With which the process that makes them ends when an image takes too much memory. */
export const tooLargeExitCode = 70

/** Makes none. */
export const noThumbnails: Thumbnailer = {
  make: async () => ({ kind: 'unavailable' }),
  close: async () => {},
}
