#!/bin/sh
# Sets .venv up for one of the sets of pinned dependencies: demo, test or lint. Quiet unless something is wrong.
# Safe when run twice at once, and when it was interrupted: the stamp is written last.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
wanted=requirements/$1.txt

say() {
    echo "setup: $*" >&2
    exit 1
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    say "$python must be Python 3.10 or newer (make PYTHON=python3.12 ...)"

# One at a time: whoever comes second waits, and finds everything done.
if [ -z "${SETUP_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    mkdir -p build
    SETUP_LOCKED=1 exec flock build/setup.lock "$0" "$@"
fi

# lint holds all of test, and test all of demo: the largest set that was installed serves the smaller ones.
installed=.venv/installed
for group in demo test lint; do
    [ "$group" = "$1" ] && found=1
    if [ -n "${found:-}" ] && cmp -s "requirements/$group.txt" "$installed-$group.txt" &&
        cmp -s pyproject.toml "$installed-pyproject.toml"; then
        exit 0
    fi
done

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    rm -rf .venv
    echo "setup: making .venv (the first time takes a minute)" >&2
    "$python" -m venv .venv ||
        say "$python cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)"
fi
rm -f "$installed"-*
pip() {
    .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"
}
pip install --require-hashes --requirement "$wanted" || say "cannot install $wanted"
pip install --no-deps --no-build-isolation --editable . || say "cannot install the project"
cp pyproject.toml "$installed-pyproject.toml"
cp "$wanted" "$installed-$1.txt"
