#!/bin/sh
# Set up .venv for one set of pinned dependencies: demo, test or lint. Print only errors and the creation of .venv.
# It may run twice at the same time or be interrupted, because it writes the stamp last.
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

# One run at a time: a second one waits, and then has nothing left to do.
if [ -z "${SETUP_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    mkdir -p build
    SETUP_LOCKED=1 exec flock build/setup.lock "$0" "$@"
fi

# lint includes test, and test includes demo: an installed larger set also serves the smaller ones.
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
    echo "setup: creating .venv (takes a minute or more the first time)" >&2
    "$python" -m venv .venv ||
        say "$python cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)"
fi
rm -f "$installed"-*
pip() {
    .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"
}
# The larger sets come with uv, which installs in a tenth of the time, also the environments of tests. pip may have another index.
if [ "$1" = demo ] || ! pip install --require-hashes --requirement requirements/uv.txt ||
    ! .venv/bin/python -m uv --quiet pip install --python .venv/bin/python --require-hashes --requirement "$wanted"; then
    pip install --require-hashes --requirement "$wanted" || say "cannot install $wanted"
fi
pip install --no-deps --no-build-isolation --editable . || say "cannot install the project"
cp pyproject.toml "$installed-pyproject.toml"
cp "$wanted" "$installed-$1.txt"
