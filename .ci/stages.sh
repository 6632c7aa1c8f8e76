# Shared by .ci/run and .ci/full: stages with a budget each, tools, checks. Sourced from the top of the project.

ci_begin=$SECONDS
ci_over_budget=()

# stage NAME MINUTES COMMAND...: runs it. A stage that needs longer than its budget is named at the end, not failed: machines
# differ. A failure ends the run with that exit code.
stage() {
    local name=$1 budget=$(($2 * 60)) started=$SECONDS code=0 took
    shift 2
    printf '\n=== %s (budget %d min)\n' "$name" $((budget / 60))
    "$@" || code=$?
    took=$((SECONDS - started))
    printf '=== %s: %d s%s\n' "$name" "$took" "$([ $code = 0 ] || echo ", failed with exit code $code")"
    [ "$took" -le "$budget" ] || ci_over_budget+=("$name: $took s of $budget s")
    [ $code = 0 ] || exit $code
}

report_budgets() {
    local line
    for line in ${ci_over_budget[@]+"${ci_over_budget[@]}"}; do
        echo "over its budget: $line"
    done
    printf 'stages so far: %d s\n' $((SECONDS - ci_begin))
}

# Beside what ./setup installs. Clang is also for the fuzz tests, which the build leaves out where it is missing.
install_tools() {
    local packages=(clang-format-14 clang-tidy-14 clang-14 libclang-rt-14-dev)
    dpkg-query -W "${packages[@]}" >/dev/null 2>&1 && return
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null
}

check_format() {
    git ls-files -z '*.h' '*.cpp' '*.cu' | xargs -0 clang-format-14 --dry-run -Werror
}

# Clang's warnings are errors as GCC's are.
thread_sanitized_tests() {
    CC=clang-14 CXX=clang++-14 sanitized_tests tsan build/tsan-quick "$@"
}

# sanitized_tests PRESET DIRECTORY CTEST_ARGUMENT...: what needs no LibTorch, built with that preset's sanitizers.
sanitized_tests() {
    local preset=$1 directory=$2
    shift 2
    cmake --preset "$preset" -DORCHESTRATE_TRAINING=OFF -B "$directory" >/dev/null
    ninja -C "$directory" --quiet -j "$(nproc)"
    ctest --test-dir "$directory" --output-on-failure --parallel "$(nproc)" --no-tests=error "$@"
}
