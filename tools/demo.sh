#!/bin/sh
# What a clone can do, on a CPU, with the weights that come with it: it infers the flow of the sample pair, measures the
# endpoint error on generated pairs that no training saw, and fine-tunes, stops and goes on. Run by `make demo`.
set -e
root=$(dirname "$0")/..
. "$root/tools/python.sh"
cd "$root"
export PYTHON="$python"  # for the scripts that are called from here
pairs=demo/pairs run=demo/run

baselines() {  # baselines DATASET LIST: the EPE of zero flow and of OpenCV's DIS on the same pairs
    "$PYTHON" tools/baselines.py --dataset "$1" --test_file "$2"
}

train() {  # train STEPS: fine-tunes until that step, from where it was
    "$PYTHON" flownet2_train.py --chip cpu --pretrained default --dataset "chairs:$pairs" \
        --val_file "$pairs/val10.txt" --image_size 256,320 --batch_size 4 --learning_rates 1e-5 --train_step "$1" \
        --save_step 20 --log_step 5 --num_workers 2 --result $run --resume_path $run
}

echo "--- 1 of 3: the flow of the sample pair"
sh test.sh data/samples/0img0.ppm data/samples/0img1.ppm demo/sample --chip cpu --save_flo
sh validation.sh data/samples data/samples/list.txt default cpu
baselines data/samples data/samples/list.txt

echo "--- 2 of 3: the endpoint error on 50 generated pairs"
"$PYTHON" tools/make_synthetic.py --out $pairs --pairs 150 --val 50 --seed 1
sh validation.sh "chairs:$pairs" $pairs/val.txt default cpu --image_size 384,512 --result demo/validation
baselines $pairs $pairs/val.txt

echo "--- 3 of 3: fine-tuning for 20 steps, and going on for 20 more"
head -n 10 $pairs/val.txt > $pairs/val10.txt
baselines $pairs $pairs/val10.txt
train 20
train 40
echo "The picture of the flow is demo/sample/0img0_flow.png, the metrics are in demo/validation, the run in $run."
