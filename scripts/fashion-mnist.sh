#!/bin/sh
# Make sure that Fashion-MNIST is on this machine: where resnetkit looks for it, or downloaded by
# resnetkit; where its public home cannot be reached, out of Debian's package (nothing is installed).
set -eu
find="from resnetkit.data.fashion_mnist import find_fashion_mnist as find; print('Fashion-MNIST:', find())"
if "$PYTHON" -c "$find" 2>/dev/null; then exit 0; fi
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cd "$folder"
    chmod 755 .
    apt-get download -q dataset-fashion-mnist >/dev/null 2>&1 || {
        apt-get update -q >/dev/null 2>&1 && apt-get download -q dataset-fashion-mnist >/dev/null 2>&1
    } || true
    for package in dataset-fashion-mnist_*.deb; do
        [ -f "$package" ] || break
        dpkg-deb -x "$package" .
        cache="${XDG_CACHE_HOME:-$HOME/.cache}/resnetkit/fashion-mnist"
        mkdir -p "$cache"
        for file in usr/share/datasets/fashion-mnist/*.gz; do
            cp "$file" "$cache/.$(basename "$file")"
            mv "$cache/.$(basename "$file")" "$cache/$(basename "$file")"
        done
    done
    cd - >/dev/null
fi
"$PYTHON" -c "import sys
from resnetkit.data.fashion_mnist import find_fashion_mnist
from resnetkit.errors import UserError
try:
    print('Fashion-MNIST:', find_fashion_mnist())
except UserError as error:
    sys.exit(f'make: {error}')"
