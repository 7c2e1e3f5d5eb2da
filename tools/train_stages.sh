#!/bin/sh
# Trains FlowNet2 from nothing, net after net, as the paper did:
#     sh tools/train_stages.sh DATA OUT [--width W] [--scale F] [further flags of flownet2_train.py]
# DATA holds FlyingChairs, FlyingThings3D and ChairsSDHom under these names; what is missing (or DATA = synthetic:SEED)
# is an error (or generated). F multiplies all numbers of steps: 0.00001 tries the chain. Started again, it goes on.
set -e
if [ $# -lt 2 ]; then
    echo "usage: sh tools/train_stages.sh DATA OUT [--width W] [--scale F] [flags of flownet2_train.py]" >&2
    exit 1
fi
root=$(dirname "$0")/.. data=$1 out=$2
shift 2
. "$root/tools/python.sh"
case $data in
    synthetic:*) chairs=$data things=$data sdhom=$data ;;
    *) chairs=chairs:$data/FlyingChairs things=things:$data/FlyingThings3D sdhom=sdhom:$data/ChairsSDHom ;;
esac

stage() {  # stage NAME DATASET PRETRAINED FLAGS...: trains into OUT/NAME; "$net" is then its checkpoint
    name=$1 dataset=$2 pretrained=$3
    shift 3
    echo "--- $name"
    "$python" "$root/flownet2_train.py" --dataset "$dataset" --pretrained "$pretrained" --result "$out/$name" \
        --resume_path "$out/$name" "$@"
    net=$(ls -t "$out/$name"/latest.ckpt-*.index | head -n 1)
}

fine() {  # the same on larger crops, at lower rates
    name=$1 dataset=$2 pretrained=$3
    shift 3
    stage "$name" "$dataset" "$pretrained" --schedule S_fine --image_size 384,768 --batch_size 4 "$@"
}

stage C "$chairs" "" --stage C "$@"
fine C-fine "$things" "$net" --stage C "$@"
stage CS "$chairs" "$net" --stage CS "$@"
fine CS-fine "$things" "$net" --stage CS "$@"
stage CSS "$chairs" "$net" --stage CSS "$@"
fine CSS-fine "$things" "$net" --stage CSS "$@"
stage CSS-ft-sd "$things,$sdhom" "$net" --stage CSS-ft-sd "$@"
css=$net
stage SD "$sdhom" "" --stage SD "$@"
sd=$net
stage fusion "$chairs" "$css,$sd" --stage fusion "$@"
fine fusion-fine "$things" "$net" --stage fusion "$@"
echo "FlowNet2: $net"
