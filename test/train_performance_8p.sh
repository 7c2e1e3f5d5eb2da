#!/bin/sh
# A hundred steps, for their rate, on eight NPUs, as Ascend's ModelZoo starts it:
#     RANK_TABLE_FILE=TABLE.json sh train_performance_8p.sh [arguments of train.sh]
exec sh "$(dirname "$0")/train.sh" performance 8 "$@"
