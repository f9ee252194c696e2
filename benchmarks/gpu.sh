#!/usr/bin/env bash
# Tests and benchmarks on a machine with a GPU, without network, in less than nine minutes:
#
#     benchmarks/gpu.sh [FOLDER]
#
# FOLDER (default ./gpu-results) gets the log of each step, the JSON files of the benchmarks, and a table,
# summary.md. A step that fails or runs over its time is reported, and the next one runs. The exit code is 1
# if any failed. PYTHON names the interpreter (default python3). WHEELS may name a folder of wheels, which
# are installed for these runs only.

set -u
folder=${1:-gpu-results}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-python3}
limit_of_all=530 # seconds
summary=$folder/summary.md
failed=0

unset NUMBA_ENABLE_CUDASIM NUMBA_DISABLE_JIT
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONDONTWRITEBYTECODE=1

report() { # name, outcome, seconds, remark
    printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "${4//|/\\|}" | tee -a "$summary"
}

step() { # name, seconds, command...
    local name=$1 limit=$2 began=$SECONDS log=$folder/$1.log outcome=ok code last
    shift 2
    ((limit > limit_of_all - SECONDS)) && limit=$((limit_of_all - SECONDS))
    if ((limit < 5)); then
        report "$name" "**not run**" 0 "no time was left"
        failed=1
        return
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
    [[ $outcome == ok ]] || failed=1
    report "$name" "$outcome" $((SECONDS - began)) "$last"
}

sanitizer() { # where compute-sanitizer is, if anywhere
    local packages
    packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
    command -v compute-sanitizer ||
        compgen -G '/usr/local/cuda*/bin/compute-sanitizer' ||
        compgen -G "$packages/nvidia/*/bin/compute-sanitizer"
}

versions='
import importlib.metadata as metadata, platform
print("python", platform.python_version())
for name in ("numpy", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "cuda-toolkit", "torch", "jax",
             "cupy-cuda12x", "cupy-cuda13x", "evosax", "evotorch", "gymnax"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "-")
'
device='from evoopt.kernels.device import read_device; print(read_device("cuda"))'
tests=("$python" -m pytest -o addopts= -p no:cacheprovider -q --strict-markers)
# compiling takes most of the tests' time: several processes, where pytest-xdist is installed
workers=$("$python" -c 'import os, xdist; print(min(8, os.cpu_count()))' 2>/dev/null | grep -x '[0-9]*')

printf '# On a GPU\n\n| step | outcome | seconds | last line |\n|---|---|---|---|\n' | tee "$summary"

if [[ -n ${WHEELS:-} ]]; then
    step wheels 40 "$python" -m pip install -q --no-index --no-deps --target "$folder/packages" "$WHEELS"/*.whl
    export PYTHONPATH=$PYTHONPATH:$folder/packages
fi
step gpu 10 nvidia-smi
step versions 10 "$python" -c "$versions"
step device 30 "$python" -c "$device"
step tests 120 "${tests[@]}" ${workers:+-n "$workers"} tests/cuda
step tests-device 20 "${tests[@]}" tests/test_device.py
if memcheck=$(sanitizer | head -n 1) && [[ -n $memcheck ]]; then
    step memcheck 70 "$memcheck" --tool memcheck --error-exitcode 1 "${tests[@]}" -m "not gpu" tests/cuda
else
    report memcheck skipped 0 "there is no compute-sanitizer"
fi
for entry in noise:30 forward:50 fitness:50 rollout:50 neuro:50; do
    name=${entry%:*}
    step "$name" "${entry#*:}" \
        "$python" -m benchmarks "$name" --device cuda --seconds 0.3 --json "$folder/$name.json"
done

{
    printf '\n## Machine\n\n```\n'
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1
    cat "$folder/versions.log"
    printf '```\n'
    for name in noise forward fitness rollout neuro; do
        if [[ -s $folder/$name.json ]]; then
            printf '\n## %s\n\n' "$name"
            cat "$folder/$name.log"
        fi
    done
} >>"$summary"
printf '\nThe table and the benchmarks are in %s.\n' "$summary"
exit "$failed"
