#!/bin/sh
# The whole fine-tuning on one NPU, as Ascend's ModelZoo starts it:  sh train_full_1p.sh [arguments of train.sh]
exec sh "$(dirname "$0")/train.sh" full 1 "$@"
