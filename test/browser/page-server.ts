/**
 * Serves the client in `page/` to a browser as it stands, with the library that it is made with: modules
 * are found by an import map, TypeScript loses its types on the way, and what is CommonJS is wrapped.
 *
 * @module
 */

import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, extname, join, normalize } from 'node:path'

const top = new URL('../..', import.meta.url).pathname
const pages = join(top, 'test/browser/page')
const library = 'matrix-js-sdk'
const host = '127.0.0.1'

interface Package {
  readonly type?: string
  readonly main?: string
  readonly browser?: unknown
  readonly exports?: Target
  readonly dependencies?: Readonly<Record<string, string>>
}

/** What `exports` in a `package.json` leads to, by conditions. */
type Target = string | { readonly [condition: string]: Target } | undefined

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
}
const javascript = 'text/javascript; charset=utf-8'

export class PageServer {
  readonly url: string
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://${host}:${(server.address() as AddressInfo).port}/`
  }

  static async start(): Promise<PageServer> {
    const map = JSON.stringify({ imports: importMap() })
    const server = createServer((request, response) => {
      serve(new URL(request.url ?? '/', 'http://page').pathname, response, map).catch((error) => {
        response.writeHead(500).end(String(error))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    return new PageServer(server)
  }

  end(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

async function serve(path: string, response: ServerResponse, map: string): Promise<void> {
  const isOfPackage = path.startsWith('/node_modules/')
  const file = normalize(join(isOfPackage ? top : pages, path === '/' ? 'index.html' : path))
  const isBelow = file.startsWith(isOfPackage ? join(top, 'node_modules/') : `${pages}/`)
  if (!isBelow || !existsSync(file)) {
    response.writeHead(404).end()
    return
  }
  const extension = extname(file)
  response.setHeader('content-type', contentTypes[extension] ?? javascript)
  if (extension === '.html') {
    response.end(readFileSync(file, 'utf8').replace('{ "imports": {} }', () => map))
  } else if (extension === '.ts') {
    response.end(stripTypeScriptTypes(readFileSync(file, 'utf8')))
  } else if (extension in contentTypes) {
    response.end(readFileSync(file))
  } else {
    response.end(await moduleOf(file))
  }
}

/** Where the modules are that are asked for by the names of the library and of all that it depends on. */
function importMap(): Record<string, string> {
  const map: Record<string, string> = { [`${library}/`]: `/node_modules/${library}/` }
  const names = new Set([library])
  for (const name of names) {
    const description = packageOf(name)
    const entry = entryOf(name)
    if (entry !== undefined) map[name] = entry
    for (const path of Object.keys(objectOf(description.exports))) {
      const inner = path.startsWith('./') ? entryOf(name, path) : undefined
      if (inner !== undefined) map[name + path.slice(1)] = inner
    }
    for (const dependency of Object.keys(description.dependencies ?? {})) {
      if (!dependency.startsWith('@types/')) names.add(dependency)
    }
  }
  return map
}

function packageOf(name: string): Package {
  return JSON.parse(readFileSync(join(top, 'node_modules', name, 'package.json'), 'utf8'))
}

/** Where a browser finds what a package exports. */
function entryOf(name: string, path = '.'): string | undefined {
  const { exports, browser, main } = packageOf(name)
  const inside = typeof exports === 'string' ? { '.': exports } : objectOf(exports)
  const mainOf = typeof browser === 'string' ? browser : (main ?? 'index.js')
  const found = path in inside ? conditioned(inside[path]) : conditioned(exports)
  const file = found ?? (exports === undefined ? mainOf : undefined)
  return file && `/${fileOf(join('node_modules', name, file))}`
}

function conditioned(target: Target): string | undefined {
  if (typeof target === 'string' || target === undefined) return target
  const key = Object.keys(target).find((one) => ['browser', 'import', 'default'].includes(one))
  return key === undefined ? undefined : conditioned(target[key])
}

function objectOf(target: Target): { readonly [key: string]: Target } {
  return typeof target === 'object' ? target : {}
}

/** A file as CommonJS finds it: with its ending, or the index of a folder. */
function fileOf(path: string): string {
  const candidates = [path, `${path}.js`, `${path}.json`, join(path, 'index.js')]
  const found = candidates.find((one) =>
    statSync(join(top, one), { throwIfNoEntry: false })?.isFile(),
  )
  if (found === undefined) throw new Error(`there is no ${path}`)
  return found
}

/** A file as a module of the browser's. */
async function moduleOf(file: string): Promise<string> {
  const source = readFileSync(file, 'utf8')
  if (file.endsWith('.json')) return await wrapped(file, `module.exports = ${source}`)
  return isCommonJs(file) ? await wrapped(file, source) : source
}

function isCommonJs(file: string): boolean {
  if (file.endsWith('.cjs')) return true
  if (file.endsWith('.mjs')) return false
  let folder = dirname(file)
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  const { type } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package
  return type !== 'module'
}

/**
 * CommonJS with what it requires imported before it runs, and the names that it exports. What a module
 * exports is there, empty, before it has run: modules require each other in circles.
 */
async function wrapped(file: string, source: string): Promise<string> {
  const urls: Record<string, string> = {}
  for (const [, name = ''] of source.matchAll(/\brequire\(["']([^"']+)["']\)/g)) {
    const inside = join(dirname(file).slice(top.length), name)
    urls[name] = name.startsWith('.') ? `/${fileOf(inside)}` : (entryOf(name) ?? name)
  }
  const exported: object = createRequire(import.meta.url)(file)
  const names = Object.keys(exported).filter((name) => /^(?!default$)[a-z_$][\w$]*$/i.test(name))
  return [
    ...Object.values(urls).map((url) => `import ${JSON.stringify(url)}`),
    'const modules = (globalThis.commonJs ??= {})',
    'const moduleAt = (url) => (modules[url] ??= { exports: {} })',
    `const urls = ${JSON.stringify(urls)}`,
    'const module = moduleAt(new URL(import.meta.url).pathname)',
    `;(function (exports, require) {\n${source}\n}).call(`,
    'module.exports, module.exports, (name) => moduleAt(urls[name]).exports)',
    'export default module.exports',
    ...names.map((name, at) => {
      return `const name${at} = module.exports.${name}; export { name${at} as ${name} }`
    }),
  ].join('\n')
}
