#!/usr/bin/env bash
# Makes the working environments of a checkout, once: .venv (everything), .venv-device (what a device has,
# no TensorFlow and no server) and the system packages the tests and the demo start.
#
# A finished environment carries a stamp with the digest of what it was made from. Same digest: nothing to
# do. Other digest: brought up to date. No stamp: the making was interrupted, so it is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
fail() {
    echo "setup: $*" >&2
    exit 1
}

# One set-up at a time in a checkout; a second one waits and then finds the work done.
mkdir -p .build
exec 9>.build/setup.lock
flock 9

# ---- system packages --------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >.build/apt.log 2>&1 9>&-; }

system_package() { # NAME PROOF PURPOSE : install a Debian package unless the command PROOF succeeds
    local name=$1 proof=$2 purpose=$3
    if eval "$proof" >/dev/null 2>&1; then return; fi
    if ! command -v apt-get >/dev/null; then
        fail "$name is missing ($purpose). Install it with this system's package manager and run make again."
    fi
    if [ "$(id -u)" -ne 0 ] && ! { command -v sudo >/dev/null && sudo -v; }; then
        fail "$name is missing ($purpose). Ask an administrator for: apt-get install --no-install-recommends $name"
    fi
    say "installing the system package $name ($purpose)"
    apt_get update || say "apt-get update failed (see .build/apt.log); trying with the known package lists"
    apt_get install -y --no-install-recommends "$name" || {
        cat .build/apt.log >&2
        fail "apt-get could not install $name (above). Install it by hand and run make again."
    }
    eval "$proof" >/dev/null 2>&1 || fail "$name is installed, and still this fails: $proof"
}

# ---- Python environments ----------------------------------------------------------------------------

python=${PYTHON:-python3.11}

made_from() { # LOCK : the digest of all an environment depends on; other tools' settings do not count
    {
        cat "$1"
        "$python" -c 'import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(t["project"], t["tool"]["hatch"])'
    } | sha256sum | cut -d' ' -f1
}

prune() { # ENVIRONMENT LOCK : remove what the lock no longer names
    local extra
    extra=$(comm -23 \
        <("$1/bin/python" -m pip list --format=freeze | cut -d= -f1 | tr 'A-Z_.' 'a-z--' | sort) \
        <({ grep -o '^[a-z0-9][a-z0-9.-]*==' "$2" | cut -d= -f1 && printf '%s\n' pip setuptools edge-sdk; } | tr '.' '-' | sort))
    if [ -n "$extra" ]; then
        # shellcheck disable=SC2086  # one word per package
        "$1/bin/python" -m pip uninstall -qq -y $extra
    fi
}

environment() { # DIRECTORY LOCK COST : a virtual environment with exactly the locked packages and this checkout
    local directory=$1 lock=$2 cost=$3 stamp="$1/.made-from" digest
    digest=$(made_from "$lock")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then return; fi
    if [ -e "$stamp" ]; then
        say "bringing $directory up to date with $lock"
    else
        say "making $directory from $lock ($cost)"
        "$python" -m venv --clear "$directory"
    fi
    rm -f "$stamp"
    local pip=("$directory/bin/python" -m pip --disable-pip-version-check --no-input)
    "${pip[@]}" install -qq --no-deps --require-hashes -r "$lock" 9>&-
    "${pip[@]}" install -qq --no-deps --no-build-isolation --editable . 9>&-
    prune "$directory" "$lock"
    echo "$digest" >"$stamp"
}

system_package python3.11-venv "$python -c 'import ensurepip, sys; assert sys.version_info[:2] == (3, 11)'" \
    "Python 3.11 with venv; PYTHON=... names another interpreter"
system_package mosquitto 'command -v mosquitto || test -x /usr/sbin/mosquitto' "MQTT broker"
system_package chromium 'test -e /usr/lib/chromium/vk_swiftshader_icd.json' \
    "software Vulkan driver for the emulated GPU, and browser tests"
system_package gcc-arm-none-eabi 'command -v arm-none-eabi-gcc' \
    "compiler for Cortex-M: the flash that a model's C library takes"

environment .venv-device requirements/device.txt "about 400 MB, a minute"
environment .venv requirements/dev.txt "TensorFlow and more: about 3 GB, some 3 to 10 minutes, once"
