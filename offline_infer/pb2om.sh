#!/bin/sh
# Compiles the frozen net for an Ascend chip:  sh pb2om.sh SOC_VERSION [H,W [BATCH_SIZE [PB]]]
# H,W and BATCH_SIZE are those of freeze_graph.py; beside flownet2.pb it writes flownet2.om. msame takes BATCH_SIZE 1
# alone, for it gives the .om one file at a time; ais_bench puts as many files together as the .om takes.
here=$(cd "$(dirname "$0")" && pwd)
soc_version=$1 image_size=${2:-448,1024} batch_size=${3:-1} pb=${4:-$here/flownet2.pb}
if [ -z "$soc_version" ] || [ $# -gt 4 ]; then
    echo "usage: sh pb2om.sh SOC_VERSION [H,W [BATCH_SIZE [PB]]], such as: sh pb2om.sh Ascend310P3" >&2
    exit 1
fi
if [ ! -f "$pb" ]; then
    echo "pb2om.sh: error: $pb: no such file; offline_infer/freeze_graph.py writes it" >&2
    exit 1
fi
if ! command -v atc > /dev/null; then
    echo "pb2om.sh: error: atc is not on the PATH; it comes with CANN (source its set_env.sh first)" >&2
    exit 1
fi
if [ "$batch_size" != 1 ]; then
    echo "pb2om.sh: $batch_size pairs at once: run it with ais_bench; msame gives it one file, which is one pair" >&2
fi
# Without --precision_mode ATC would compute everything in fp16, the coordinates of the warps too.
exec atc --framework=3 --model="$pb" --output="${pb%.pb}" --soc_version="$soc_version" \
    --input_shape="input_a:$batch_size,2,$image_size,3" --out_nodes="output:0" \
    --precision_mode=allow_fp32_to_fp16 --output_type=FP32 --log=error
