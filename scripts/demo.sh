#!/bin/sh
# From pictures to a classifier and back to pictures: each command is shown before it runs.
set -eu
show() { printf '\n\033[1m$ %s\033[0m\n' "$*" | sed "s|$RUN|resnetkit|"; "$@"; }

echo "resnetkit in four commands: about three minutes on two cores."
rm -rf "$OUT"
show "$RUN" models resnet20 --image-size 28 --channels 1
show "$RUN" train fashion-mnist --model resnet20 --epochs 4 --out "$OUT"
show "$RUN" evaluate "$OUT" fashion-mnist --plot "$OUT/confusion.png"
show "$RUN" predict "$OUT" examples/pictures
cat <<END

Look at:
  $OUT/curves.png       loss and accuracy, epoch by epoch
  $OUT/confusion.png    what is taken for what
Try next:
  $RUN train YOUR_FOLDER            one subfolder a class
  $RUN predict $OUT YOUR_PICTURE
  $RUN models 'resnet*'
END
