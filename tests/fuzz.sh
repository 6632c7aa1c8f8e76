#!/bin/bash
# Builds a target for libFuzzer with all sanitizers and runs it from a stored corpus:
#     fuzz.sh CLANG++ WORK_FOLDER CORPUS SECONDS SOURCE... -- FLAG...
# ORCHESTRATE_FUZZ_SECONDS in the environment goes before SECONDS.
# Fails on a crash, a leak, a finding of a sanitizer, or an input that takes 10 s.
set -euo pipefail
clang=$1 work=$2 corpus=$3 seconds=${ORCHESTRATE_FUZZ_SECONDS:-$4}
shift 4
sources=()
while [ "$1" != -- ]; do
    sources+=("$1")
    shift
done
shift
mkdir -p "$work/corpus"
objects=()
for source in "${sources[@]}"; do  # one by one: memory, and the compiler cache where there is one
    object=$work/$(basename "$source" .cpp).o
    $(command -v ccache) "$clang" -std=c++20 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
        -fno-sanitize=function "$@" -c "$source" -o "$object"
    objects+=("$object")
done
"$clang" -fsanitize=fuzzer,address,undefined "${objects[@]}" "$@" -o "$work/target"
"$work/target" "$work/corpus" "$corpus" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
    -verbosity=0 -print_final_stats=1 -artifact_prefix="$work/"
