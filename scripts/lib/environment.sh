# Sourced by the scripts: goes to the top of the checkout and sees to it that .venv has what the lock files name.
# shellcheck shell=bash

set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
VENV=$ROOT/.venv
# What a developer's shell or a supervisor set for another Python must not leak into ours.
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE="${PYTHONDONTWRITEBYTECODE-}"

say() { printf '%s\n' "$*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Print a Python of at least 3.11: the one that PYTHON names, else the first found.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    say "govern needs Python 3.11 or newer, and found $(python3 --version 2>/dev/null || echo none)."
    say "Install it (on Debian and Ubuntu: apt install python3 python3-venv), or name one: PYTHON=/path/to/python3.11 $0"
    return 1
}

make_venv() {
    local python
    if [ -x "$VENV/bin/python" ] && is_new_enough "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python) || exit 1
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        say "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"
        exit 1
    fi
    say "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear "$VENV"
}

stamp_of() { "$VENV/bin/python" -c 'import hashlib, sys; print(sys.version_info[:2], hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }

is_installed() { [ -f "$VENV/.installed-$1" ] && [ "$(cat "$VENV/.installed-$1")" = "$(stamp_of "$1")" ]; }

# install LOCK: put what the lock names into .venv, if it changed since the last time.
install() {
    local lock=$1
    if is_installed "$lock"; then return; fi
    say "Installing $lock (once; half a minute or so) …"
    if ! "$VENV/bin/python" -m pip install -qq --require-hashes -r "$lock"; then
        say "The packages could not be installed. pip's words are above; behind a proxy or a mirror, set it in pip's configuration."
        exit 1
    fi
    stamp_of "$lock" >"$VENV/.installed-$lock"
}

# The code itself is used where it lies: nothing is built, so nothing more is downloaded.
link_checkout() {
    local packages
    packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$ROOT" >"$packages/govern-checkout.pth"
    if [ ! -e "$VENV/bin/govern" ]; then
        printf '#!%s\nfrom govern.cli.main import main\n\nmain()\n' "$VENV/bin/python" >"$VENV/bin/govern"
        chmod +x "$VENV/bin/govern"
    fi
}

# with_packages runtime|dev
with_packages() {
    # Two scripts started at once would install over each other.
    if command -v flock >/dev/null 2>&1; then
        mkdir -p "$ROOT/var"
        exec 9>"$ROOT/var/.venv.lock"
        flock 9
    fi
    make_venv
    if [ "$1" = dev ]; then
        install requirements-dev.lock
    elif ! is_installed requirements-dev.lock; then # which holds everything that the other holds
        install requirements.lock
    fi
    link_checkout
    exec 9>&-
}
