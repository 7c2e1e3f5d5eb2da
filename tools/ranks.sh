# Runs the processes of a training on this machine; sourced by run_gpu_8p.sh and run_npu_8p.sh.
# Their output goes to LOGS (./logs). Ctrl-C and SIGTERM are passed on to all, who stop after the same step. If one
# fails, the others end by themselves; what has not ended after GRACE seconds is killed: the last checkpoint is whole.

# run_ranks FLAGS…: starts `start_rank RANK FLAGS…` for each rank below RANK_SIZE and waits for all. start_rank ends in
# exec. The status is 0, 1 if one failed, or 130 if they were stopped.
run_ranks() {
    logs=${LOGS:-logs} pids='' status=0 rank=0
    mkdir -p "$logs" || exit 1
    while [ "$rank" -lt "$RANK_SIZE" ]; do
        (start_rank "$rank" "$@") > "$logs/train_$rank.log" 2>&1 &
        pids="$pids $!"
        rank=$((rank + 1))
    done
    trap 'status=130; kill $pids 2> /dev/null' INT TERM

    while [ -n "$pids" ]; do
        running=''
        for pid in $pids; do
            if kill -0 "$pid" 2> /dev/null; then
                running="$running $pid"
            elif ! wait "$pid" && [ "$status" = 0 ]; then
                echo "${0##*/}: error: a process failed; see $logs/train_*.log" >&2
                status=1 failed=$(date +%s)
            fi
        done
        pids=$running
        if [ -n "$pids" ] && [ "$status" = 1 ] && [ $(($(date +%s) - failed)) -ge "${GRACE:-15}" ]; then
            kill -9 $pids 2> /dev/null
        fi
        [ -n "$pids" ] && sleep "${POLL:-2}"
    done
    exit $status
}
