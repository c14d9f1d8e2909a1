#!/usr/bin/env bash
# Writes requirements/*.txt: every package of an environment, with exact version and hashes.
# Made for CPython 3.11 on Linux; the hashes cover every architecture a package is built for.
#
# Pins that still fit are kept; `scripts/lock.sh --upgrade` takes the newest versions that
# pyproject.toml allows. dev.txt is made first and constrains the others, so that a package has one
# version everywhere. No index address is written: each machine uses the index its pip is set up with.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-.venv/bin/uv}

compile() { # NAME ARGUMENT... : write requirements/NAME.txt
    local out="requirements/$1.txt"
    shift
    echo "lock: $out"
    "$UV" pip compile pyproject.toml --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_35 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --annotation-style line \
        --custom-compile-command "make lock" --output-file "$out" "$@" >/dev/null
}

compile dev --extra all --group dev "$@"
same=(--constraints requirements/dev.txt)
compile device --extra agent --extra ort --extra litert --extra qnn --extra tflm --group build --group test "${same[@]}" "$@"
compile server --extra server "${same[@]}" "$@"
compile agent-litert --extra agent --extra litert "${same[@]}" "$@"

if grep -nEi 'https?://|file:|^ *(-i|-f|--index-url|--extra-index-url|--find-links)' requirements/*.txt; then
    echo "lock: an address got into a lock file (above); make it again without it" >&2
    exit 1
fi
