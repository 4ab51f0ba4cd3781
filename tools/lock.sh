#!/usr/bin/env bash
# Renew the lock files from requirements*.in: `tools/lock.sh [more arguments for uv pip compile, e.g. --upgrade]`.
# Needs uv on the PATH or in $UV. One lock serves CPython 3.10 to 3.13 on Linux x86-64; existing pins stay unless --upgrade.
#
# torch is not resolved here: its plain version on the package index is the CUDA build of several GB, the CPU build has
# a local version (+cpu) on PyTorch's own index. requirements-torch.lock is kept by hand: version and the wheels' hashes
# as that index links them; the libraries that it needs at run time stand in requirements.in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {  # input, output, more
    "${UV:-uv}" pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "$2" "$1" "${@:3}"
}

compile requirements.in requirements.lock "$@"
compile requirements-ros.in requirements-ros.lock --constraint requirements.lock "$@"
compile requirements-cluster.in requirements-cluster.lock --constraint requirements.lock \
    --constraint requirements-ros.lock "$@"
