"""Asks Python's canonicaljson and signedjson, and an installed Synapse, about encodings of events.

Reads questions as JSON lines and answers each with one line:

    {"op": "canonical", "text": "…"}
        {"canonical": "…" | null, "strict": true | false, "double": true | false}
    {"op": "sign", "text": "…", "seed": "…"}               {"signature": "…"}
    {"op": "verify", "text": "…", "key": "…"}              {"valid": true | false}
    {"op": "event", "version": "12", "text": "…", "seed": "…"}
        {"redacted": "…", "contentHash": "…", "eventId": "…", "signature": "…"}

JSON is passed as text, so that what is asked about are the bytes. Signatures are those of the server
`domain` with the key `ed25519:1`.
"""

import hashlib
import json
import sys

from canonicaljson import encode_canonical_json
from signedjson.key import decode_signing_key_base64, decode_verify_key_bytes
from signedjson.sign import sign_json, verify_signed_json
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import compute_content_hash, compute_event_signature
from synapse.events import make_event_from_json
from synapse.events.utils import validate_canonicaljson
from synapse.synapse_rust.events import redact_event_dict
from unpaddedbase64 import decode_base64, encode_base64


def canonical(question):
    double = []

    def members(pairs):
        if len(dict(pairs)) < len(pairs):
            double.append(True)
        return dict(pairs)

    try:
        value = json.loads(
            question["text"], parse_constant=no_constant, object_pairs_hook=members
        )
        text = encode_canonical_json(value).decode("utf-8")
        strict = is_strict(value)
    except (ValueError, RecursionError):
        text, strict = None, False
    return {"canonical": text, "strict": strict, "double": bool(double)}


def is_strict(value):
    try:
        validate_canonicaljson(value)
    except SynapseError:
        return False
    return True


def no_constant(name):
    raise ValueError(name)


def signing_key(question):
    return decode_signing_key_base64("ed25519", "1", question["seed"])


def sign(question):
    signed = sign_json(json.loads(question["text"]), "domain", signing_key(question))
    return {"signature": signed["signatures"]["domain"]["ed25519:1"]}


def verify(question):
    key = decode_verify_key_bytes("ed25519:1", decode_base64(question["key"]))
    try:
        verify_signed_json(json.loads(question["text"]), "domain", key)
    except Exception:
        return {"valid": False}
    return {"valid": True}


def event(question):
    version = KNOWN_ROOM_VERSIONS[question["version"]]
    value = json.loads(question["text"])
    _, digest = compute_content_hash(value, hashlib.sha256)
    redacted = redact_event_dict(version, value)
    redacted.pop("unsigned", None)
    signature = compute_event_signature(version, value, "domain", signing_key(question))
    return {
        "redacted": encode_canonical_json(redacted).decode("utf-8"),
        "contentHash": encode_base64(digest),
        "eventId": make_event_from_json(question["text"], version).event_id,
        "signature": signature["domain"]["ed25519:1"],
    }


OPERATIONS = {"canonical": canonical, "sign": sign, "verify": verify, "event": event}

for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(OPERATIONS[question["op"]](question)), flush=True)
