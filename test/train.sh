#!/bin/sh
# What train_full_1p.sh, train_performance_1p.sh and those with 8p share, as Ascend's ModelZoo starts and reads them:
#     sh train.sh full|performance NPUS [arguments]
# --data_path=FOLDER or URL   with the dataset, its lists and checkpoints (flownet2_train.py --data_url)
# --output_path=FOLDER or URL   for the results (--train_url); else they are in OUTPUT/DEVICE/ckpt
# --ckpt_path=WEIGHTS         to start from (--pretrained); else the published ones, or those that come with it
# --precision_mode=MODE       of CANN; allow_mix_precision brings a loss scale of 2^32 along
# --over_dump=True --data_dump_flag=True --data_dump_step="0|5" --profiling=True   into folders beside the log
# Any other argument goes to flownet2_train.py. OUTPUT is output/ beside this file, DEVICE is $ASCEND_DEVICE_ID or 0.
# The log is OUTPUT/DEVICE/train_DEVICE.log; of 8 NPUs each has one. A performance run begins anew and makes 100 steps.
here=$(cd "$(dirname "$0")" && pwd)
kind=$1 npus=$2 name="train_$1_$2p.sh"
shift 2
ASCEND_DEVICE_ID=${ASCEND_DEVICE_ID:-0} output=${OUTPUT:-$here/output}
export ASCEND_DEVICE_ID
place=$output/$ASCEND_DEVICE_ID
result=$place/ckpt
mkdir -p "$place" || exit 1

data_dump='' step='' mixed='' scaled=''
for argument in "$@"; do
    shift
    case $argument in
        --data_path=*) set -- "$@" --data_url "${argument#*=}" ;;
        --output_path=*) set -- "$@" --train_url "${argument#*=}"
            case $argument in *://*) ;; *) result=${argument#*=} ;; esac ;;
        --ckpt_path=*) set -- "$@" --pretrained "${argument#*=}" ;;
        --over_dump=True) set -- "$@" --over_dump "$place/overflow_dump" ;;
        --data_dump_flag=True) data_dump=yes ;;
        --data_dump_step=*) step=${argument#*=} ;;
        --profiling=True) set -- "$@" --profiling "$place/profiling" ;;
        --over_dump=False | --data_dump_flag=False | --profiling=False) ;;
        *) set -- "$@" "$argument" ;;
    esac
    case $argument in
        --precision_mode=allow_mix_precision) mixed=yes ;;
        --loss_scale*) scaled=yes ;;
    esac
done
[ -n "$data_dump" ] && set -- "$@" --dump "$place/data_dump" --dump_step "${step:-0}"
[ -n "$mixed" ] && [ -z "$scaled" ] && set -- "$@" --loss_scale 4294967296
if [ "$kind" = performance ]; then
    rm -rf "$place/ckpt"
    set -- --resume_path '' --train_step 100 --save_step 100 "$@"
fi
started=$(date +%s) log=$place/train_$ASCEND_DEVICE_ID.log
if [ "$npus" = 1 ]; then
    ranks=1
    sh "$here/../run_npu_1p.sh" --result "$place/ckpt" --resume_path "$place/ckpt" "$@" > "$log" 2>&1
else
    ranks=${RANK_SIZE:-$npus}
    for rank in $(seq 0 $((ranks - 1))); do
        mkdir -p "$output/$rank"
        ln -sf "../train_$rank.log" "$output/$rank/train_$rank.log"
    done
    RANK_SIZE=$ranks LOGS=$output sh "$here/../run_npu_8p.sh" --result "$place/ckpt" --resume_path "$place/ckpt" "$@"
fi
status=$?
if [ "$status" != 0 ]; then
    echo "$name: error: the training failed (status $status); see $log: $(tail -n 1 "$log")" >&2
    exit 1
fi

# The figures: of history.csv, whose columns have names; the first row of the rate holds the compilation.
column() {
    tr -d '\r' < "$result/history.csv" | awk -F, -v name="$1" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next } $at != "" { print $at }'
}
duration=$(($(date +%s) - started))
batch_size=$(sed -n 's/.*"batch_size": \([0-9]*\).*/\1/p' "$result/config.json")
rate=$(column pairs_per_s | awk 'NR < 2 { first = $1; next } { sum += $1 }
                                 END { printf "%.2f", (NR > 1 ? sum / (NR - 1) : first) }')
accuracy=$(column val_epe | tail -n 1)
case_name=FlowNet2_bs${batch_size}_${npus}p_$([ "$kind" = full ] && echo acc || echo perf)
column loss > "$place/train_${case_name}_loss.txt"
cat > "$place/$case_name.log" << END
Network = FlowNet2
RankSize = $ranks
BatchSize = $batch_size
DeviceType = $(uname -m)
CaseName = $case_name
ActualFPS = $rate
TrainingTime = $(column fp_bp_ms | tail -n 1)
ActualLoss = $(column loss | tail -n 1)
E2ETrainingTime = $duration
TrainAccuracy = $accuracy
END
echo "Final Performance images/sec : $rate"
echo "Final Train Accuracy : $accuracy"
echo "E2E Training Duration sec : $duration"
