#!/bin/sh
# Infers the flow of an image pair:  sh test.sh IMAGE_A IMAGE_B OUT [further flags of flownet2_test.py]
if [ $# -lt 3 ]; then
    echo "usage: sh test.sh IMAGE_A IMAGE_B OUT [flags of flownet2_test.py]" >&2
    exit 1
fi
root=$(dirname "$0") image_a=$1 image_b=$2 out=$3
shift 3
. "$root/tools/python.sh"
exec "$python" "$root/flownet2_test.py" --input_a "$image_a" --input_b "$image_b" --out "$out" "$@"
