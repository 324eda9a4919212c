#!/bin/sh
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# The default command of the images: it starts the node /detector, which configures and activates itself. Arguments are
# added after --ros-args, for example: detect.sh --param score_threshold:=0.4
#
#   MODEL        name of a catalogue model (default: yolov3-tiny; downloaded once) or path of a file
#   PRECISION    fp32 (default), fp16 or int8
#   IMAGE_TOPIC  topic of the images (default: /image_raw)
set -eu
model=${MODEL:-yolov3-tiny}
case $model in
    */*) ;;
    *) trt_perception fetch "$model" ;;
esac
exec perception_node --ros-args --remap __node:=detector --remap "image:=${IMAGE_TOPIC:-/image_raw}" \
    --param "model_file:=$model" --param "precision:=${PRECISION:-fp32}" --param autostart:=true "$@"
