#!/bin/sh
# The whole chain on a CPU: a small net is trained from scratch on generated pairs, measured on pairs that it has not
# seen, and infers the flow of the sample pair. Started again, it goes on where it was stopped. Run by `make demo`.
set -e
cd "$(dirname "$0")/.."
root=.
. tools/python.sh
export PYTHON="$python"  # for the scripts that are called from here
pairs=demo/pairs net=demo/net

echo "--- 1 of 4: generating 1,250 pairs of 128 x 192 in $pairs"
"$python" tools/make_synthetic.py --out $pairs --pairs 1250 --val 50 --size 128,192 --seed 1

echo "--- 2 of 4: training FlowNetS with a quarter of the channels, at most 3 minutes"
"$python" flownet2_train.py --chip cpu --net S --width 0.25 --dataset $pairs --train_file $pairs/train.txt \
    --val_file $pairs/val.txt --image_size 128,192 --batch_size 8 --learning_rates 5e-4,2.5e-4,1.25e-4 \
    --step_values 400,500 --train_step 600 --save_step 300 --log_step 50 --result $net --resume_path $net

echo "--- 3 of 4: measuring on 50 pairs that it has not seen"
sh validation.sh $pairs $pairs/val.txt $net/latest.ckpt-600 cpu --net S --image_size 128,192 --result demo/validation
"$python" tools/baselines.py --dataset $pairs --test_file $pairs/val.txt

echo "--- 4 of 4: the flow of the sample pair"
sh test.sh data/samples/0img0.ppm data/samples/0img1.ppm demo/sample --checkpoint $net/latest.ckpt-600 --net S \
    --chip cpu --save_flo True
sh validation.sh data/samples data/samples/list.txt $net/latest.ckpt-600 cpu --net S --image_size 384,512
"$python" tools/baselines.py --dataset data/samples --test_file data/samples/list.txt
echo "The picture of the flow is demo/sample/0img0_flow.png, the net $net; imgs/sample.png shows the true flow."
