# What the run_*.sh do; sourced by them behind python.sh.

# fine_tune CHIP FLAGS…: becomes flownet2_train.py, which fine-tunes FlowNet2 on MPI Sintel from the default weights.
fine_tune() {
    chip=$1
    shift
    exec "$python" "$root/flownet2_train.py" --chip "$chip" --dataset "$root/data/sintel" \
        --train_file "$root/data/sintel/train.txt" --val_file "$root/data/sintel/val.txt" \
        --pretrained default \
        --result "$root/result" --resume_path "$root/result" "$@"
}
