#!/bin/sh
# Trains the weights that come with the project, on one GPU, with the flags that were used (docs/weights.md):
#     sh tools/train_thin.sh PHOTOGRAPHS OUT [further flags of flownet2_train.py]
# PHOTOGRAPHS is a folder of images to cut textures from; OUT takes the generated sets (51 GB) and a folder a net.
# Started again, it goes on where it was.
set -e
if [ $# -lt 2 ]; then
    echo "usage: sh tools/train_thin.sh PHOTOGRAPHS OUT [flags of flownet2_train.py]" >&2
    exit 1
fi
root=$(dirname "$0")/.. photographs=$1 out=$2
shift 2
. "$root/tools/python.sh"
rates=3e-4,1.5e-4,7.5e-5,3.75e-5,1.9e-5

generate() {  # generate LAW PAIRS SEED
    "$python" "$root/tools/make_synthetic.py" --out "$out/$1" --motion "$1" --pairs "$2" --val 20 --seed "$3" \
        --textures "$photographs" --textures_part train
}

stage() {  # stage NAME FLAGS...: trains into OUT/NAME; "$net" is then its checkpoint
    name=$1
    shift
    "$python" "$root/flownet2_train.py" --stage "$name" --width 0.375 --batch_size 32 --precision amp --xla True \
        --learning_rates $rates --result "$out/$name" --resume_path "$out/$name" "$@"
    net=$(ls -t "$out/$name"/latest.ckpt-*.index | head -n 1)
}

generate chairs 8000 7
generate small 5000 8
generate large 6000 9
chairs=chairs:$out/chairs small=chairs:$out/small large=chairs:$out/large

stage C --dataset "$chairs" --seed 3 --step_values 17000,23800,28900,32300 --train_step 34000 --save_step 2000 "$@"
stage CS --dataset "$chairs,$large@.7,$small@.3" --pretrained "$net" --seed 11 \
    --step_values 9201,12833,15470,17265 --train_step 17972 --save_step 2700 "$@"
# FlowNetSD is augmented without the second frame's own motion, which would drown motions below 2 pixels.
stage SD --dataset "$small,$chairs@.1" --augment fusion --seed 13 \
    --step_values 7796,10855,13286,14721 --train_step 15516 --save_step 2700 "$@"
