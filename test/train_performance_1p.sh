#!/bin/sh
# A hundred steps, for their rate, on one NPU, as Ascend's ModelZoo starts it:
#     sh train_performance_1p.sh [arguments of train.sh]
exec sh "$(dirname "$0")/train.sh" performance 1 "$@"
