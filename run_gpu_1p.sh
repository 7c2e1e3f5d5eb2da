#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on one GPU:  sh run_gpu_1p.sh [further flags of flownet2_train.py]
# Started again, it goes on from the newest checkpoint in the result folder.
root=$(dirname "$0")
. "$root/tools/python.sh"
exec "$python" "$root/flownet2_train.py" --chip gpu --dataset "$root/data/sintel" \
    --train_file "$root/data/sintel/train.txt" --val_file "$root/data/sintel/val.txt" \
    --pretrained default \
    --result "$root/result" --resume_path "$root/result" "$@"
