/**
 * What discovery did on its way to a server, in words.
 *
 * @module
 */

import type { DiscoveryStep } from '../discovery-steps.ts'
import { bad, type Finding, good, note } from './finding.ts'

export function discoveryFinding(step: DiscoveryStep): Finding {
  switch (step.step) {
    case 'direct':
      return note(
        'name',
        `${step.name} says by itself where to connect to: nothing else is looked up.`,
      )
    case 'well-known':
      return wellKnownFinding(step)
    case 'delegated':
      return good('well-known', `${step.host} delegates to ${step.to}.`)
    case 'not-delegated':
      return notDelegated(step)
    case 'srv':
      return srvFinding(step)
    case 'default-port':
      return note(
        'name',
        `Nothing names another host or port: ${step.host} is asked at port ${step.port}.`,
      )
  }
}

function wellKnownFinding(step: DiscoveryStep & { readonly step: 'well-known' }): Finding {
  const { url, status, redirect, failure } = step
  if (failure !== undefined) {
    return note('well-known', `${url} cannot be had: ${failure}.`, {
      mend: 'Where it is meant to be there, let a web server answer it at port 443.',
    })
  }
  if (redirect !== undefined) return note('well-known', `${url} leads on to ${redirect}.`)
  const found = `${url} answers with status ${status}.`
  if (status === 200) return good('well-known', found)
  if (status !== undefined && (status >= 500 || status === 429)) {
    return bad('well-known', found, {
      mend: 'Servers take this for a host that is down for a moment. Answer 404 if there is no file.',
    })
  }
  return note('well-known', found)
}

function notDelegated(step: DiscoveryStep & { readonly step: 'not-delegated' }): Finding {
  const { host, why } = step
  // A host without the file is as good as one with it; a file that cannot be read is a mistake.
  if (why.startsWith('it answers with status')) {
    return note('well-known', `${host} delegates to nobody.`)
  }
  return bad('well-known', `${host} delegates to nobody: ${why}.`, {
    mend: 'Answer {"m.server": "<host>:<port>"} there, or 404.',
  })
}

function srvFinding(step: DiscoveryStep & { readonly step: 'srv' }): Finding {
  const { name, records } = step
  if (records.length === 0) return note('srv', `There is no SRV record ${name}.`)
  const targets = records.map(({ target, port, priority, weight }) => {
    return `${target || '.'}:${port} (priority ${priority}, weight ${weight})`
  })
  const found = `${name} names ${targets.slice(0, 8).join(', ')}.`
  if (!name.startsWith('_matrix._tcp.')) return good('srv', found)
  return note('srv', found, {
    mend: 'Records of this name are deprecated: let _matrix-fed._tcp say the same.',
  })
}
