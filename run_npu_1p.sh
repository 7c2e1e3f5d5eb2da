#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on one Ascend NPU:  sh run_npu_1p.sh [further flags of flownet2_train.py]
# Started again, it goes on from the newest checkpoint in the result folder. On ModelArts too, which adds --data_url
# and --train_url: then data, lists and checkpoint are looked for in the first, and results go to the second.
# It is one process on one NPU, also where the environment still has the RANK_SIZE or table of several.
root=$(dirname "$0")
. "$root/tools/python.sh"
. "$root/tools/fine_tune.sh"
unset RANK_TABLE_FILE
export RANK_SIZE=1 RANK_ID=0 JOB_ID="${JOB_ID:-10087}" ASCEND_DEVICE_ID="${ASCEND_DEVICE_ID:-0}"
fine_tune npu "$@"
