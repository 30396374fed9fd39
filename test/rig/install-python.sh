#!/usr/bin/env bash
# Makes .cache/python: a virtual environment with a real Synapse, for interop and differential tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x .cache/python/bin/python ] || python3 -m venv .cache/python
.cache/python/bin/python -c 'import synapse, psycopg2, signedjson, canonicaljson' 2>/dev/null ||
  .cache/python/bin/pip install --quiet --disable-pip-version-check matrix-synapse==1.163.2 psycopg2-binary==2.9.13 signedjson canonicaljson
.cache/python/bin/python -c 'import synapse; print("Synapse", synapse.__version__)'
