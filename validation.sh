#!/bin/sh
# Measures the endpoint error:  sh validation.sh DATASET LIST CHECKPOINT CHIP [further flags of flownet2_val.py]
if [ $# -lt 4 ]; then
    echo "usage: sh validation.sh DATASET LIST CHECKPOINT CHIP [flags of flownet2_val.py]" >&2
    exit 1
fi
root=$(dirname "$0") dataset=$1 list=$2 checkpoint=$3 chip=$4
shift 4
. "$root/tools/python.sh"
exec "$python" "$root/flownet2_val.py" \
    --dataset "$dataset" --test_file "$list" --checkpoint "$checkpoint" --chip "$chip" "$@"
