#!/bin/sh
# The whole fine-tuning on eight NPUs, as Ascend's ModelZoo starts it:
#     RANK_TABLE_FILE=TABLE.json sh train_full_8p.sh [arguments of train.sh]
exec sh "$(dirname "$0")/train.sh" full 8 "$@"
