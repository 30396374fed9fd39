"""Asks an installed Synapse about auth rules and state resolution.

Reads rooms as JSON lines, one room a line, and answers each with one line:

    {"version": "12", "events": [{"id": "$…", "json": "…", "rejected": false}, …],
     "checks": [[event, null | [state events]], …], "resolutions": [[[state events], …], …]}
    {"ids": ["$…", …], "checks": [null | "why not", …], "resolutions": [["$…", …] | "why not", …], "own": …}

`own` are the resolutions by Synapse's own computation of auth chains, of rooms small enough for it.
Events are named by their place in the list. A check without a state is of the event's list of auth
events; one with a state is of the rules that depend on it.
"""

import asyncio
import json
import sys

from synapse import event_auth
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, StateResolutionVersions
from synapse.events import make_event_from_json
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference

# How many paths of auth events may be walked by Synapse's own search, which repeats itself.
PATHS_MAX = 5_000


class Clock:
    async def sleep(self, _duration):
        pass


class Store:
    """A room's events, as Synapse asks its database for them."""

    def __init__(self, events):
        self.events = {event.event_id: event for event in events}

    async def get_events(self, event_ids, **_options):
        return {id: self.events[id] for id in event_ids if id in self.events}

    def chain(self, event_ids):
        found, walk = set(), list(event_ids)
        while walk:
            for id in self.events[walk.pop()].auth_event_ids():
                if id not in found:
                    found.add(id)
                    walk.append(id)
        return found

    async def get_auth_chain_difference(self, _room, state_sets, conflicted, extra):
        """The definitions of the spec, over plain sets."""
        chains = [self.chain(ids) for ids in state_sets]
        if not chains:
            return StateDifference(set(), set() if conflicted is not None else None)
        difference = set.union(*chains) - set.intersection(*chains)
        if conflicted is None:
            return StateDifference(difference, None)
        between = set()
        for id in self.chain(conflicted) | set(conflicted):
            if id in conflicted or self.chain([id]) & set(conflicted):
                between.add(id)
        return StateDifference(difference, between)

    def paths(self):
        counts = {}
        for id, event in self.events.items():
            counts[id] = 1 + sum(counts.get(auth, 0) for auth in event.auth_event_ids())
        return sum(counts.values())


class NoStore(Store):
    """For resolutions in which Synapse is given all events, and does the set arithmetic itself."""

    async def get_auth_chain_difference(self, _room, _state_sets, conflicted, _extra):
        return StateDifference(set(), None if conflicted is None else set())


async def resolve(version, store, room_id, states, own_sets):
    """Synapse's resolution; its auth chains by the spec's definition, or with sets of its own."""
    maps = [{(e.type, e.state_key): e.event_id for e in state} for state in states]
    if version.state_res == StateResolutionVersions.V1:
        resolved = await v1.resolve_events_with_store(
            room_id, version, maps, None, store.get_events
        )
    elif own_sets:
        resolved = await v2.resolve_events_with_store(
            Clock(), room_id, version, maps, dict(store.events), NoStore(store.events.values())
        )
    else:
        resolved = await v2.resolve_events_with_store(
            Clock(), room_id, version, maps, None, store
        )
    return sorted(resolved.values())


async def check(store, event, state):
    if state is None:
        await event_auth.check_state_independent_auth_rules(store, event)
    else:
        event_auth.check_state_dependent_auth_rules(event, state)


async def outcome(question):
    """The answer, or why there is none: an error of Synapse's own, or one that it does not expect."""
    try:
        return await question
    except SynapseError as error:
        return f"{type(error).__name__}: {error.msg}"
    except BaseException as error:  # A panic of Synapse's Rust parts is no Exception.
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return f"failure: {type(error).__name__}: {error}"


async def answer(room):
    version = KNOWN_ROOM_VERSIONS[room["version"]]
    events = [
        make_event_from_json(e["json"], version, rejected_reason="rejected" if e["rejected"] else None)
        for e in room["events"]
    ]
    store = Store(events)
    is_small = store.paths() <= PATHS_MAX
    checks = []
    for number, state in room["checks"]:
        known = None if state is None else [events[n] for n in state]
        checks.append(await outcome(check(store, events[number], known)))
    resolutions, own = [], []
    for states in room["resolutions"]:
        sets = [[events[n] for n in state] for state in states]
        room_id = events[0].room_id
        resolutions.append(await outcome(resolve(version, store, room_id, sets, False)))
        if is_small:
            own.append(await outcome(resolve(version, store, room_id, sets, True)))
    return {
        "ids": [event.event_id for event in events],
        "checks": checks,
        "resolutions": resolutions,
        "own": own,
    }


async def main():
    for line in sys.stdin:
        room = await outcome(answer(json.loads(line)))
        print(json.dumps({"failure": room} if isinstance(room, str) else room), flush=True)


asyncio.run(main())
