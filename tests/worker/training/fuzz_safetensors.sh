#!/bin/bash
# Fuzzes the reader of safetensors headers: fuzz_safetensors.sh CLANG++ SOURCES INCLUDE WORK_FOLDER SECONDS
set -euo pipefail
clang=$1 sources=$2 work=$4 seconds=${ORCHESTRATE_FUZZ_SECONDS:-$5}
include=("$3"/*)  # a directory for each that has headers
mkdir -p "$work/corpus"
"$clang" -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all "${include[@]/#/-I}" \
    "$sources/tests/worker/training/safetensors_fuzz.cpp" "$sources/worker/training/support/safetensors.cpp" \
    "$sources/common/base/strict_json.cpp" "$sources/common/base/named_file.cpp" -o "$work/safetensors_fuzz"
cat > "$work/corpus/two_tensors" <<'EOF'
{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"b":{"dtype":"F16","shape":[16],"data_offsets":[32,64]}}
EOF
exec "$work/safetensors_fuzz" "$work/corpus" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -verbosity=0 -artifact_prefix="$work/"
