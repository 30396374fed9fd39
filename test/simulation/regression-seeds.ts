/**
 * Seeds that found something, which are run for ever. What a seed brings about changes with what is
 * simulated; where it mattered, a test beside its subject keeps the case itself.
 *
 * @module
 */

export const regressionSeeds: readonly { readonly seed: number; readonly showed: string }[] = [
  { seed: 1795488591, showed: 'history is out of reach when all who heard it have left' },
  { seed: 1795490007, showed: 'who comes back into a room is shown a part of what they know' },
  { seed: 1795490021, showed: 'an answer of /sync is taken whole, or asked for again' },
  { seed: 1795490048, showed: 'a gap that nobody could fill is gone past, and filled later' },
  { seed: 1795491009, showed: 'a room was joined while the keys of a member could not be had' },
  { seed: 1795491011, showed: 'what is missing before a refused event was never fetched' },
  { seed: 1795491071, showed: 'a page that only meets what is known may go past a gap' },
  { seed: 1795492033, showed: 'who is put out while cut off has a branch that nobody takes up' },
  { seed: 1795500039, showed: 'who had left gave nobody what their last events follow on' },
  { seed: 1795500199, showed: 'history was put behind a gap that was filled meanwhile' },
  { seed: 1795510003, showed: 'a client that reads back while it syncs is two clients' },
  { seed: 1795520006, showed: 'history came after a client was told that it has met the start' },
  { seed: 1795520027, showed: 'who was only invited knows nothing of the timeline' },
  { seed: 1795501244, showed: 'who has left knows but one branch of a history' },
  { seed: 100007, showed: 'the end of an invite was taken for the start of a timeline' },
  { seed: 100057, showed: 'the end of a ban told the whole stay again' },
  { seed: 100239, showed: 'who comes back may be shown more than all they know' },
  { seed: 100688, showed: 'history stands behind all of a stretch that was passed before it' },
  { seed: 101668, showed: 'who asked in vain has to ask again once another has read back' },
  { seed: 101695, showed: 'what was refused in a stay without all state stays refused' },
  { seed: 102124, showed: 'who was banned while cut off was never told, and could not ask' },
  { seed: 3000076, showed: 'a late branch may put a server out by the very event that merges it' },
  { seed: 3000321, showed: 'whom an old branch brought back spoke in a room known in part' },
  { seed: 3000674, showed: 'who joins as all others leave is given no members by anybody' },
  { seed: 8000538, showed: 'who joined without a part of the state gives it so to others' },
  { seed: 9600013, showed: 'one side takes back a kick, and the other hears none of it' },
  { seed: 47110992, showed: 'a state was taken without whose keys were out of reach for a while' },
  { seed: 271, showed: 'a state was taken without what was not fetched in time' },
]
