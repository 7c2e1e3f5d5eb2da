#!/bin/sh
# Measures the endpoint error:  sh validation.sh DATASET LIST CHECKPOINT CHIP [further flags of flownet2_val.py]
if [ $# -lt 4 ]; then
    echo "usage: sh validation.sh DATASET LIST CHECKPOINT CHIP [flags of flownet2_val.py]" >&2
    exit 1
fi
dataset=$1 list=$2 checkpoint=$3 chip=$4
shift 4
exec "${PYTHON:-python3}" "$(dirname "$0")/flownet2_val.py" \
    --dataset "$dataset" --test_file "$list" --checkpoint "$checkpoint" --chip "$chip" "$@"
