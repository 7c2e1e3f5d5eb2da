#!/bin/sh
# Trains FlowNet2 from nothing, net after net:
#     sh tools/train_stages.sh DATA OUT [--width W] [--scale F] [further flags of flownet2_train.py]
# as the paper did, where DATA holds FlyingChairs, FlyingThings3D and ChairsSDHom under these names, or is
# synthetic:SEED; and as the weights that come with the project were trained (docs/weights.md), where DATA is
# photographs:FOLDER, from which the pairs are generated (OUT then takes 65 GB of them). F multiplies all numbers of
# steps and of generated pairs: 0.00001 tries the chain (with --precision fp32 --xla False where there is no GPU).
# Started again, it goes on where it was.
set -e
if [ $# -lt 2 ]; then
    echo "usage: sh tools/train_stages.sh DATA OUT [--width W] [--scale F] [flags of flownet2_train.py]" >&2
    exit 1
fi
root=$(dirname "$0")/.. data=$1 out=$2
shift 2
. "$root/tools/python.sh"

stage() {  # stage NAME DATASET PRETRAINED FLAGS...: trains into OUT/NAME; "$net" is then its checkpoint
    name=$1 dataset=$2 pretrained=$3
    shift 3
    echo "--- $name"
    "$python" "$root/flownet2_train.py" --dataset "$dataset" --pretrained "$pretrained" --result "$out/$name" \
        --resume_path "$out/$name" "$@"
    net=$(ls -t "$out/$name"/latest.ckpt-*.index | head -n 1)
}

as_the_paper() {
    stage C "$chairs" "" --stage C "$@"
    stage C-fine "$things" "$net" --stage C-fine "$@"
    stage CS "$chairs" "$net" --stage CS "$@"
    stage CS-fine "$things" "$net" --stage CS-fine "$@"
    stage CSS "$chairs" "$net" --stage CSS "$@"
    stage CSS-fine "$things" "$net" --stage CSS-fine "$@"
    stage CSS-ft-sd "$things,$sdhom" "$net" --stage CSS-ft-sd "$@"
    css=$net
    stage SD "$sdhom" "" --stage SD "$@"
    sd=$net
    stage fusion "$chairs" "$css,$sd" --stage fusion "$@"
    stage fusion-fine "$things" "$net" --stage fusion-fine "$@"
}

scale=1 before=''
for flag in "$@"; do
    case $before in --scale) scale=$flag ;; esac
    case $flag in --scale=*) scale=${flag#*=} ;; esac
    before=$flag
done

scaled() {  # scaled COUNT: F * COUNT pairs, but 24 at least, for 20 of them are to validate on
    awk -v count="$1" -v scale="$scale" 'BEGIN { count = int(count * scale + .5); print count < 24 ? 24 : count }'
}

generate() {  # generate LAW PAIRS SEED: pairs of a law of motion into OUT/LAW; an eighth of the photographs is left out
    "$python" "$root/tools/make_synthetic.py" --out "$out/$1" --motion "$1" --pairs "$(scaled "$2")" --val 20 \
        --seed "$3" --textures "${data#photographs:}" --textures_part train
}

thin() {  # thin NAME DATASET PRETRAINED FLAGS...: a stage of the weights that come with the project
    name=$1 dataset=$2 pretrained=$3
    shift 3
    stage "$name" "$dataset" "$pretrained" --width 0.375 --batch_size 32 --precision amp --xla True "$@"
}

as_shipped() {
    falling=3e-4,1.5e-4,7.5e-5,3.75e-5,1.9e-5
    thin C "$chairs" "" --stage C --seed 3 --learning_rates $falling --step_values 17000,23800,28900,32300 \
        --train_step 34000 --save_step 2000 "$@"
    thin CS "$chairs,$large@.7,$small@.3" "$net" --stage CS --seed 11 --learning_rates $falling \
        --step_values 9201,12833,15470,17265 --train_step 17972 --save_step 2700 "$@"
    thin CSS "$chairs,$large@.7,$small@.3" "$net" --stage CSS --seed 22 --learning_rates 2e-4,1e-4,5e-5,2.5e-5,1.2e-5 \
        --step_values 25401,39735,51802,59756 --train_step 64905 --save_step 5000 "$@"
    css=$net
    # FlowNetSD is augmented without the second frame's own motion, which would drown motions below 2 pixels.
    thin SD "$small,$chairs@.1" "" --stage SD --augment fusion --seed 13 --learning_rates $falling \
        --step_values 7796,10855,13286,14721 --train_step 15516 --save_step 2700 "$@"
    thin SD-on "$small,$chairs@.1" "$net" --stage SD --augment fusion --seed 23 \
        --learning_rates 1.5e-4,7.5e-5,3.75e-5,1.9e-5 --step_values 11184,18506,25387 --train_step 28841 \
        --save_step 5000 "$@"
    thin fusion "$small,$chairs@.6,$large@.6" "$css,$net" --stage fusion --seed 24 --batch_size 16 \
        --learning_rates $falling --step_values 23439,34600,40358,44629 --train_step 47016 --save_step 5000 "$@"
}

case $data in
    photographs:*)
        generate chairs 10000 7
        generate small 5000 8
        generate large 9000 9
        chairs=chairs:$out/chairs small=chairs:$out/small large=chairs:$out/large
        as_shipped "$@" ;;
    synthetic:*)
        chairs=$data things=$data sdhom=$data
        as_the_paper "$@" ;;
    *)
        chairs=chairs:$data/FlyingChairs things=things:$data/FlyingThings3D sdhom=sdhom:$data/ChairsSDHom
        as_the_paper "$@" ;;
esac
echo "FlowNet2: $net"
