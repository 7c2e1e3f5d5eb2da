#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on eight Ascend NPUs of one server, a process each:
#     RANK_TABLE_FILE=TABLE.json sh run_npu_8p.sh [further flags of flownet2_train.py]
# RANK_SIZE=2 or 4 takes fewer, FIRST_DEVICE=4 others than 0, 1, …. --batch_size is of each of them. Their output is in
# LOGS (./logs); if one fails, the others are stopped, and the exit status is 1 (tools/ranks.sh).
# HCCL's own time-outs, 120 s for the first meeting and 30 minutes for a step, are too short for a slow compilation.
root=$(dirname "$0")
. "$root/tools/python.sh"
. "$root/tools/fine_tune.sh"
. "$root/tools/ranks.sh"
export RANK_SIZE="${RANK_SIZE:-8}" JOB_ID="${JOB_ID:-10087}" RANK_TABLE_FILE
export HCCL_CONNECT_TIMEOUT="${HCCL_CONNECT_TIMEOUT:-1800}" HCCL_EXEC_TIMEOUT="${HCCL_EXEC_TIMEOUT:-7200}"
if [ ! -f "$RANK_TABLE_FILE" ]; then
    echo "run_npu_8p.sh: error: RANK_TABLE_FILE=$RANK_TABLE_FILE: no such file; it lists the NPUs (hccn)" >&2
    exit 1
fi

start_rank() {
    export RANK_ID="$1" ASCEND_DEVICE_ID="$(($1 + ${FIRST_DEVICE:-0}))"
    shift
    fine_tune npu "$@"
}
run_ranks "$@"
