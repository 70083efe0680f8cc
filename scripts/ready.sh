#!/bin/sh
# Makes a fresh clone ready: installs what package-lock.json names, unless that was done already. Every npm script that
# a newcomer may try first begins with it, so that one command is enough.
set -e
cd "$(dirname "$0")/.."
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'Installing (the first time takes a minute) …' >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
fi
# What is newer than what was built from it (after a git pull, say) is built again.
if [ ! -f dist/index.js ] || [ -n "$(find queue-worker/src scripts package.json -newer dist/index.js)" ]; then
  npm run --silent build
fi
