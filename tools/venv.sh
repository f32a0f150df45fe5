#!/usr/bin/env bash
# Makes the virtual environment .venv with guestwire in it, for `demo` or, with more, for `dev` (the tools of tests)
# and `bench` (the peers). It is done again only when pyproject.toml has changed.
set -euo pipefail

case ${1:-} in
    demo) what=(-e .) ;;
    dev) what=(-e ".[dev]") ;;
    bench) what=(-e . -r bench/requirements.txt) ;;
    *) echo "usage: tools/venv.sh demo|dev|bench" >&2; exit 64 ;;
esac

# .venv moved with its folder would still name the old place: the stamp holds the place too.
stamp=$(printf '%s %s' "$PWD" "$(sha256sum <pyproject.toml)")
current() { [[ -x .venv/bin/python && -f .venv/stamp-$1 && $(<".venv/stamp-$1") == "$stamp" ]]; }
current "$1" && exit 0
[[ $1 == demo ]] && { current dev || current bench; } && exit 0

# One at a time: two makes at once would install into each other.
exec 9<Makefile
flock 9
current "$1" && exit 0

python=$(tools/python.sh)
if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    ! grep -qsxF "$PWD" .venv/place; then
    echo "+ $python -m venv .venv"
    "$python" -m venv --clear .venv
    echo "$PWD" >.venv/place
fi
echo "+ .venv/bin/pip install ${what[*]}"
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${what[@]}"
# libvirt-python must have the version of the machine's libvirt; without that one does without it.
if [[ $1 == dev ]] && version=$(pkg-config --modversion libvirt 2>/dev/null); then
    echo "+ .venv/bin/pip install libvirt-python==$version"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "libvirt-python==$version"
fi
echo "$stamp" >".venv/stamp-$1"
