/**
 * The connections that read from PostgreSQL. A question goes to the one with the fewest before it
 * and is sent at once, without waiting for the answers to those; that is several times as fast as
 * one question at a time. A connection that breaks is replaced at its next use; while the database is
 * started again, questions wait for it as writes do.
 *
 * @module
 */

import { Client, type ClientConfig, type QueryResult } from 'pg'
import type { Clock } from '#io/clock.ts'
import type { PostgresQuery } from './postgres-sql.ts'
import { isConnectionLost, reconnectWaitMs } from './postgres-writer.ts'

interface Connection {
  client: Promise<Client> | undefined
  pending: number
}

export class PostgresReaders {
  readonly #config: ClientConfig
  readonly #clock: Clock
  readonly #connections: readonly Connection[]

  constructor(config: ClientConfig, clock: Clock, connectionsMax: number) {
    this.#config = config
    this.#clock = clock
    this.#connections = Array.from({ length: connectionsMax }, () => ({
      client: undefined,
      pending: 0,
    }))
  }

  async read<Row>(query: PostgresQuery): Promise<Row[]> {
    let lost: unknown
    // The server is started again, or the network broke: asking twice does no harm.
    for (const waitMs of [0, ...reconnectWaitMs]) {
      if (waitMs > 0) await this.#clock.sleep(waitMs)
      try {
        return (await this.#query(query)).rows as Row[]
      } catch (error) {
        if (!isConnectionLost(error)) throw error
        lost = error
      }
    }
    throw lost
  }

  async end(): Promise<void> {
    const clients = await Promise.allSettled(this.#connections.map(({ client }) => client))
    for (const client of clients) {
      if (client.status === 'fulfilled') await client.value?.end()
    }
  }

  async #query(query: PostgresQuery): Promise<QueryResult> {
    const connection = this.#connections.reduce((least, other) =>
      other.pending < least.pending ? other : least,
    )
    connection.pending += 1
    connection.client ??= this.#connect()
    const { client } = connection
    try {
      return await (await client).query(query)
    } catch (error) {
      // What waits for this connection fails too; nobody else is to use it.
      if (isConnectionLost(error) && connection.client === client) connection.client = undefined
      throw error
    } finally {
      connection.pending -= 1
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...this.#config, pipeline: true })
    // Who uses the connection next is told that it is broken.
    client.on('error', () => {})
    await client.connect()
    return client
  }
}
