#!/usr/bin/env bash
# What looking for NaN and infinity costs: a whole training step with and without it. The promise is 2 % at most.
# Instructions of a step, as valgrind counts them, and its least time, in turns: the machine may have other work to do.
set -euo pipefail
cd "$(dirname "$0")/.."

build() { # name flags
  RUSTFLAGS="$2" cargo bench -q --bench workloads --no-run --message-format=json --target-dir "${TARGET:-target}/checks-$1" |
    sed -n 's/.*"executable":"\([^"]*workloads[^"]*\)".*/\1/p' | tail -1
}
count() { # binary workload: instructions of a step
  local few many
  few=$(valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$1" "$2" 1 0 5 2>&1 | sed -n 's/.*I *refs: *//p' | tr -d ,)
  many=$(valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$1" "$2" 1 0 15 2>&1 | sed -n 's/.*I *refs: *//p' | tr -d ,)
  echo $(((many - few) / 10))
}
least() { # binary workload: least milliseconds of a step
  "$1" "$2" 1 1 | sed -n 's/.*"min_ms":\([0-9.]*\).*/\1/p'
}

with=$(build with "")
without=$(build without "--cfg wythe_unchecked")
for workload in W1 W3; do
  a=$(count "$with" $workload) b=$(count "$without" $workload)
  x=999999 y=999999
  for _ in $(seq "${TURNS:-20}"); do
    x=$(printf '%s\n%s\n' "$x" "$(least "$with" $workload)" | sort -g | head -1)
    y=$(printf '%s\n%s\n' "$y" "$(least "$without" $workload)" | sort -g | head -1)
  done
  awk -v w=$workload -v a="$a" -v b="$b" -v x="$x" -v y="$y" 'BEGIN {
    printf "%s: %d instructions a step, %d without (%+.2f %%); %.3f ms at least, %.3f without (%+.2f %%)\n", w, a, b, 100*(a/b-1), x, y, 100*(x/y-1) }'
done
