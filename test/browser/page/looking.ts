/**
 * What tests ask a page about images.
 *
 * @module
 */

export interface Drawn {
  readonly size: readonly [width: number, height: number]
  /** Red, green, blue and opacity of a point in its left half. */
  readonly colour: readonly number[]
}

/** Waits until an image is drawn, at least so wide, and tells of it. */
export async function drawn(selector: string, widthMin = 1): Promise<Drawn> {
  for (;;) {
    const image = document.querySelector<HTMLImageElement>(selector)
    if (image?.complete && image.naturalWidth >= widthMin) return await seen(image)
    await new Promise(requestAnimationFrame)
  }
}

async function seen({ naturalWidth, naturalHeight, src }: HTMLImageElement): Promise<Drawn> {
  const bytes = await (await fetch(src)).blob()
  const canvas = new OffscreenCanvas(naturalWidth, naturalHeight)
  const drawn = canvas.getContext('2d')
  drawn?.drawImage(await createImageBitmap(bytes), 0, 0)
  const point = drawn?.getImageData(naturalWidth >> 2, naturalHeight >> 1, 1, 1)
  return { size: [naturalWidth, naturalHeight], colour: [...(point?.data ?? [])] }
}

/** A picture with a colour in each half, as the bytes of a PNG. */
export async function flag(width: number, height: number, colours: string[]): Promise<number[]> {
  const canvas = new OffscreenCanvas(width, height)
  const drawn = canvas.getContext('2d')
  for (const [at, colour] of colours.entries()) {
    Object.assign(drawn ?? {}, { fillStyle: colour })
    drawn?.fillRect((width / 2) * at, 0, width / 2, height)
  }
  return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())]
}
