#!/usr/bin/env bash
# Short runs of every model come out the same in PyTorch; a run that does not, or cannot be
# replayed, is told apart.
set -euo pipefail
ringmaster=experiments/ringmaster
replay=experiments/proof/bench/replay_pytorch.py

python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import numpy, torch' 2>/dev/null; then python=$candidate && break; fi
done
if [[ -z $python ]]; then
  echo "SKIPPED: no python3 here has torch; on Debian: apt-get install python3-torch"
  exit 0
fi

failed=0
# run NAME EXPECTED_STATUS REPLAY_FLAGS -- COMPARE_FLAGS: trains, replays, and looks at the replay's
# exit status.
run() {
  local name=$1 expected=$2 flags=() out=$TEST_TMPDIR/$1
  shift 2
  while [[ $1 != -- ]]; do flags+=("$1") && shift; done
  shift
  mkdir -p "$out"
  "$ringmaster" compare --arms ring --transport tcp --steps 20 --batch 4 --learning-rate 0.05 \
    --out "$out" --dump-batches "$out/batches" --dump-gradients "$out/gradients" \
    --save-weights "$out/w.safetensors" \
    --set training.evaluate_every_samples=0 --set training.kernels=cpu "$@" >"$out.log" 2>&1 || {
    cat "$out.log" && echo "FAILED: $name does not train" && failed=1 && return
  }
  local status=0
  "$python" -B "$replay" "$out/results.jsonl" "${flags[@]}" >"$out.replay" 2>&1 || status=$?
  echo "== $name" && cat "$out.replay"
  ((status == expected)) || {
    echo "FAILED: $name: exit status $status, expected $expected"
    failed=1
  }
}

samples=(--data synthetic --set data.synthetic.train_samples=100
  --set data.synthetic.test_samples=10)
images=("${samples[@]}" --set data.synthetic.height=16 --set data.synthetic.width=16)
colours=("${images[@]}" --set data.synthetic.channels=3 --model resnet --set model.resnet.blocks=1
  --set model.resnet.width=8)
texts=("${samples[@]}" --set data.synthetic.context=16 --set data.synthetic.classes=20
  --model transformer
  --set model.transformer.layers=2 --set model.transformer.width=24 --set model.transformer.heads=3)

run mlp 0 -- "${images[@]}" --model mlp --set model.mlp_hidden=20,15
run momentum 0 -- "${images[@]}" --model mlp --set optimizer.name=momentum
run lenet 0 -- "${images[@]}" --model lenet
run cnn 0 -- "${images[@]}" --model cnn
run resnet-batch 0 -- "${colours[@]}" --set model.resnet.norm=batch
run resnet-group 0 -- "${colours[@]}" --set model.resnet.norm=group --set model.resnet.groups=4
run transformer-tied 0 -- "${texts[@]}" --set model.transformer.tied_head=true
run transformer-untied 0 -- "${texts[@]}" --set model.transformer.tied_head=false
# The run's own gradients leave nothing to decide; all that can differ is the update.
run forced 0 --forced --tolerance 2e-6 -- "${images[@]}" --model lenet \
  --set output.dump_gradient_steps=20
run forced-adam 0 --forced --tolerance 2e-5 -- "${images[@]}" --model mlp \
  --set optimizer.name=adam --set output.dump_gradient_steps=20
run forced-beyond 1 --forced --tolerance 1e-12 -- "${images[@]}" --model mlp \
  --set output.dump_gradient_steps=20
run forced-few 2 --forced -- "${images[@]}" --model mlp
run twin 0 --twin -- "${images[@]}" --model mlp
run beyond 1 --tolerance 1e-12 -- "${images[@]}" --model mlp
run refused 2 -- "${images[@]}" --model mlp --set data.augment.noise=0.1
exit "$failed"
