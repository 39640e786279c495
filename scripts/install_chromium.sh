#!/bin/sh
# Installs the browser that tests/viewer/test_browser.py drives, unless there is one.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

fail() {
    echo "install_chromium.sh: $1; install Chromium or Google Chrome so that it is on the PATH" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "no browser was found, and there is no apt-get to install one"
if [ "$(id -u)" = 0 ]; then
    root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    root="sudo -n"
else
    fail "no browser was found, and installing one needs root or sudo without a password"
fi
$root apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium
