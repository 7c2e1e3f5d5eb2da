# Runs the processes of a training on this machine; sourced by run_gpu_8p.sh and run_npu_8p.sh.
# Their output goes to LOGS (./logs). Ctrl-C and SIGTERM are passed on to rank 0, which says it to the others: all stop
# after the same step, and rank 0 saves the state. If one fails, or rank 0 was stopped, the others end by themselves;
# what has not ended GRACE seconds later is killed, for it waits for one that is gone: the last checkpoint is whole.

# run_ranks FLAGS…: starts `start_rank RANK FLAGS…` for each rank below RANK_SIZE and waits for all. start_rank ends in
# exec. The status is 0, 1 if one failed, or 130 if they were stopped.
run_ranks() {
    logs=${LOGS:-logs} pids='' status=0 ended='' rank=0
    mkdir -p "$logs" || exit 1
    while [ "$rank" -lt "$RANK_SIZE" ]; do
        (start_rank "$rank" "$@") > "$logs/train_$rank.log" 2>&1 &
        pids="$pids $!"
        [ "$rank" = 0 ] && first=$!
        rank=$((rank + 1))
    done
    trap 'status=130; kill "$first" 2> /dev/null' INT TERM

    while [ -n "$pids" ]; do
        running=''
        for pid in $pids; do
            if kill -0 "$pid" 2> /dev/null; then
                running="$running $pid"
            else
                wait "$pid"
                end_of_rank "$pid" $?
            fi
        done
        pids=$running
        if [ -n "$pids" ] && [ -n "$ended" ] && [ $(($(date +%s) - ended)) -ge "${GRACE:-15}" ]; then
            kill -9 $pids 2> /dev/null
        fi
        [ -n "$pids" ] && sleep "${POLL:-2}"
    done
    exit $status
}

# end_of_rank PID STATUS: what it means for the others. Rank 0 may take its time, to copy results.
end_of_rank() {
    [ "$2" = 0 ] && return
    if [ "$status" = 0 ]; then
        echo "${0##*/}: error: a process failed; see $logs/train_*.log" >&2
        status=1
    fi
    if [ "$1" = "$first" ] || [ "$2" != 130 ]; then
        ended=${ended:-$(date +%s)}
    fi
}
