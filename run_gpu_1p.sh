#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on one GPU:  sh run_gpu_1p.sh [further flags of flownet2_train.py]
# Started again, it goes on from the newest checkpoint in the result folder.
here=$(dirname "$0")
exec "${PYTHON:-python3}" "$here/flownet2_train.py" --chip gpu --dataset "$here/data/sintel" \
    --train_file "$here/data/sintel/train.txt" --val_file "$here/data/sintel/val.txt" \
    --pretrained "$here/checkpoints/FlowNet2/flownet-2.ckpt-0" \
    --result "$here/result" --resume_path "$here/result" "$@"
