#!/usr/bin/env bash
# Tests and benchmarks on a machine with a GPU, without network, in less than nine minutes:
#
#     benchmarks/gpu.sh [PART ...] [FOLDER]
#     benchmarks/gpu.sh smoke          (one minute)
#
# Parts are run in this order, all of them by default:
#
#     smoke   versions, the device, ten kernels against the CPU
#     own     the benchmarks, evoopt alone
#     tests   tests/cuda and tests/test_device.py
#     check   compute-sanitizer's memcheck of the ten kernels
#     peers   the benchmarks again, with the peers that are installed
#
# FOLDER (default ./gpu-results) gets the log of each step, the JSON files of the benchmarks, and a
# table, summary.md; at the end FOLDER.tar.gz has all of it. Without a device nothing else is run. Any
# other step that fails or runs over its time is reported, and the next one runs. The exit code is 1 if
# any failed.
#
# PYTHON names the interpreter (default python3), LIMIT the seconds for everything (default 530).
# CUDA_HOME is found if it is not set. WHEELS may name a folder of wheels, which are installed for these
# runs only.

set -u
parts=()
while [[ ${1:-} =~ ^(smoke|own|tests|check|peers)$ ]]; do
    parts+=("$1")
    shift
done
[[ ${#parts[@]} -gt 0 ]] || parts=(smoke own tests check peers)
folder=${1:-gpu-results}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-python3}
limit_of_all=${LIMIT:-530}
summary=$folder/summary.md
failed=0

unset NUMBA_ENABLE_CUDASIM NUMBA_DISABLE_JIT
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

report() { # name, outcome, seconds, remark
    printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "${4//|/\\|}" | tee -a "$summary"
}

step() { # name, seconds, command...; fails where the command does
    local name=$1 limit=$2 began=$SECONDS log=$folder/$1.log outcome=ok code last
    shift 2
    ((limit > limit_of_all - SECONDS)) && limit=$((limit_of_all - SECONDS))
    if ((limit < 5)); then
        report "$name" "**not run**" 0 "no time was left"
        failed=1
        return 1
    fi
    timeout --kill-after=5 "$limit" "$@" >"$log" 2>&1 </dev/null
    code=$?
    last=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | cut -c 1-200)
    if ((code == 124 || code == 137)); then
        outcome="**ran over $limit s**"
    elif ((code != 0)); then
        outcome="**failed ($code)**"
    elif [[ $last == *skipped* && $last != *passed* ]]; then
        outcome="**all skipped**"
    fi
    report "$name" "$outcome" $((SECONDS - began)) "$last"
    [[ $outcome == ok ]] && return
    failed=1
    return 1
}

finish() { # the rest of the table, and one archive of everything
    {
        printf '\n## Machine\n\n```\n'
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1
        printf 'CUDA_HOME %s\n' "${CUDA_HOME:--}"
        cat "$folder/versions.log" 2>/dev/null
        printf '```\n'
        for log in "$folder"/{smoke,own-*,peers-*}.log; do
            [[ -s $log ]] && printf '\n## %s\n\n```\n%s\n```\n' "$(basename "$log" .log)" "$(cat "$log")"
        done
    } >>"$summary"
    tar -czf "$folder.tar.gz" -C "$(dirname "$folder")" --exclude packages "$(basename "$folder")"
    printf '\nThe table and the benchmarks are in %s, everything is in %s.\n' "$summary" "$folder.tar.gz"
}

packages() { # the folder where wheels are installed
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null
}

toolkit() { # the folder of a CUDA toolkit that has the compiler's library, if there is one
    local nvcc candidate
    nvcc=$(command -v nvcc) && nvcc=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    for candidate in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "$nvcc" "${CUDA_ROOT:-/usr/local/cuda}" \
        "$(packages)"/nvidia/cu[0-9]*; do
        if [[ -n $candidate ]] && compgen -G "$candidate/nvvm/lib*/libnvvm.so*" >/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

sanitizer() { # the path of compute-sanitizer, if it is installed
    command -v compute-sanitizer ||
        compgen -G "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" ||
        compgen -G "$(packages)/nvidia/*/bin/compute-sanitizer"
}

versions='
import importlib.metadata as metadata, platform
print("python", platform.python_version())
for name in ("numpy", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "cuda-toolkit", "nvidia-nvvm",
             "nvidia-cuda-nvrtc", "nvidia-nvjitlink", "torch", "jax", "cupy-cuda12x", "cupy-cuda13x", "evosax",
             "evotorch", "gymnax"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "-")
'
device='
from evoopt.devices.available import read_device
read_device("cuda")
import numpy as np
from evoopt.kernels.cuda.runtime.stream import Stream
from numba import cuda
assert np.asarray(Stream().to_device(np.arange(3), np.float64)).tolist() == [0, 1, 2]
found = cuda.get_current_device()
print(found.name, "of compute capability", found.compute_capability)
'
pytest=("$python" -m pytest -o addopts= -p no:cacheprovider -q --strict-markers)
ten_kernels=("$python" -m benchmarks.harness.smoke)

benchmarks() { # arguments: part, options...; each entry has its seconds
    local part=$1 entry name
    shift
    for entry in noise:40 forward:40 fitness:50 rollout:50 neuro:60; do
        name=${entry%:*}
        step "$part-$name" "${entry#*:}" "$python" -m benchmarks "$name" --device cuda --seconds 0.3 \
            --json "$folder/$part-$name.json" "$@"
    done
}

smoke() {
    step smoke 60 "${ten_kernels[@]}"
}

own() {
    benchmarks own --own
}

tests() {
    local workers # compiling takes most of the time: several processes, where pytest-xdist is installed
    workers=$("$python" -c 'import os, xdist; print(min(8, os.cpu_count()))' 2>/dev/null | grep -x '[0-9]*')
    step tests 120 "${pytest[@]}" ${workers:+-n "$workers"} tests/cuda
    step tests-device 20 "${pytest[@]}" tests/test_device.py
}

check() { # kernels are compiled by now, so that the time goes to the checks
    local memcheck
    if memcheck=$(sanitizer | head -n 1) && [[ -n $memcheck ]]; then
        step memcheck 60 "$memcheck" --tool memcheck --error-exitcode 1 "${ten_kernels[@]}"
    else
        report memcheck skipped 0 "there is no compute-sanitizer"
    fi
}

peers() {
    benchmarks peers
}

trap finish EXIT
trap 'exit 143' INT TERM
printf '# On a GPU\n\n| step | outcome | seconds | last line |\n|---|---|---|---|\n' | tee "$summary"
found=$(toolkit) && [[ -n $found ]] && export CUDA_HOME=$found
if [[ -n ${WHEELS:-} ]]; then
    step wheels 40 "$python" -m pip install -q --no-index --no-deps --target "$folder/packages" "$WHEELS"/*.whl
    export PYTHONPATH=$PYTHONPATH:$folder/packages
fi
step versions 10 "$python" -c "$versions"
if step device 40 "$python" -c "$device"; then
    for part in "${parts[@]}"; do
        "$part"
    done
fi
exit "$failed"
