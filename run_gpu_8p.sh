#!/bin/sh
# Fine-tunes FlowNet2 on MPI Sintel on eight GPUs of one machine, a process each:
#     sh run_gpu_8p.sh [further flags of flownet2_train.py]
# RANK_SIZE=2 or 4 takes fewer, FIRST_DEVICE=4 others than 0, 1, …. --batch_size is of each of them. Their output is in
# LOGS (./logs). Started again, it goes on from the newest checkpoint in the result folder. They meet at the ports PORT,
# PORT + 1, …. With --chip cpu it runs on the CPU. Several machines: docs/training.md.
root=$(dirname "$0")
. "$root/tools/python.sh"
. "$root/tools/fine_tune.sh"
. "$root/tools/ranks.sh"
RANK_SIZE=${RANK_SIZE:-8} port=${PORT:-$((12000 + $$ % 1250 * 16))} workers='' rank=0
while [ "$rank" -lt "$RANK_SIZE" ]; do
    workers="$workers${workers:+, }\"localhost:$((port + rank))\""
    rank=$((rank + 1))
done

start_rank() {
    export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $1}}"
    shift
    fine_tune gpu --gpu_device "${FIRST_DEVICE:-0}" "$@"
}
run_ranks "$@"
