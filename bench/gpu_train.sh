#!/bin/sh
# Train mv-mini on one machine in pieces of a few minutes, each going on from the last: for a GPU that is lent by the hour.
#
#   bench/gpu_train.sh [MINUTES] [PARTS]
#
# MINUTES: how long this piece may learn (default 8; painting and packing come on top, about a minute).
# PARTS: a folder of mv-mini.tar.* files of at most 15 MB each. Read first, if it has any; written at the end. Without
# them the piece goes on from assets/models/mv-mini. The optimiser begins anew with every piece, the weights do not.
# Films are painted on all cores beside the learning. PYTHON chooses the interpreter. Steps for the piece: STEPS.
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-8} parts=${2:-runs/parts} python=${PYTHON:-python} steps=${STEPS:-20000}
run=runs/piece model=runs/piece/model clips=runs/piece/latents
rm -rf "$run" && mkdir -p "$clips" "$parts"
if ls "$parts"/mv-mini.tar.* >/dev/null 2>&1; then
    cat "$parts"/mv-mini.tar.* | tar -x -C "$run"
else
    cp -r assets/models/mv-mini "$model"
fi

painters=""
seed=$(date +%s) # other films in every piece
for core in $(seq "$(nproc)"); do
    OMP_NUM_THREADS=1 $python -m mv train latents --vae "$model/vae" --folder "$clips" --shards 1000 --seed $((seed + core)) \
        >"$run/paint-$core.log" 2>&1 &
    painters="$painters $!"
done
trap 'kill $painters 2>/dev/null || true' EXIT
until [ -f "$clips/channels.json" ]; do # written after the first films
    kill -0 $painters 2>/dev/null || { cat "$run"/paint-*.log; exit 1; }
    sleep 1
done

$python -m mv train transformer --run "$run/transformer" --folder "$clips" --start "$model" --processes 1 \
    --minutes "$minutes" --steps "$steps"
$python -m mv train export --run "$run/transformer" --vae "$model/vae" --target "$run/new"
cp "$run/transformer/log.csv" "$run/new/"
rm -rf "$model" && mv "$run/new" "$model"
rm -f "$parts"/mv-mini.tar.*
tar -c -C "$run" model | split -b 15000000 - "$parts/mv-mini.tar."
ls -l "$parts"
