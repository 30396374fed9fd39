/**
 * The settings as a document: `docs/config.md` is what this gives, and a test sees to that.
 *
 * @module
 */

import type { Setting } from './kinds.ts'
import { environmentName } from './load.ts'
import { settings, withoutEffect } from './settings.ts'

export function describeSettings(): string {
  return `# Configuration

Hansa reads one YAML file, \`hansa.yaml\` or what \`--config\` names.
Only \`server_name\` must be given.
A key that does not exist is an error which names the nearest one that does.
\`hansa config check\` says whether a file can be used.

Each key can also be given by the environment: \`federation.retry.min_ms\` is \`${environmentName('federation.retry.min_ms')}\`.
Values there are read as YAML.

These keys are checked, and change nothing in this version: ${withoutEffect.map((key) => `\`${key}\``).join(', ')}.

| key | by default | expected | |
|---|---|---|---|
${rows(settings.fields).join('\n')}

Each entry of \`listeners\`:

| key | by default | expected | |
|---|---|---|---|
${rows(settings.fields.listeners.kind.entryFields ?? {}).join('\n')}
`
}

function rows(fields: Readonly<Record<string, Setting<unknown>>>, above = ''): string[] {
  return Object.entries(fields).flatMap(([name, { kind, byDefault, description }]) => {
    const key = above + name
    if (kind.fields) return rows(kind.fields, `${key}.`)
    const shownDefault = byDefault === undefined ? '' : `\`${JSON.stringify(byDefault)}\``
    return [`| \`${key}\` | ${shownDefault} | ${cell(kind.expected)} | ${cell(description)} |`]
  })
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
