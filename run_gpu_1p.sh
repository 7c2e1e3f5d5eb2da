#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on one GPU:  sh run_gpu_1p.sh [further flags of flownet2_train.py]
# Started again, it goes on from the newest checkpoint in the result folder.
root=$(dirname "$0")
. "$root/tools/python.sh"
. "$root/tools/fine_tune.sh"
fine_tune gpu "$@"
