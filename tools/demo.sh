#!/usr/bin/env bash
# The demonstration: builds examples/three-ways.yaml in a lab, checks it, draws it, and takes it down whatever happens.
set -uo pipefail

file=examples/three-ways.yaml
up=no
begun=${EPOCHREALTIME/[.,]/}

bold='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

shown() {
    printf '\n%s$ guestwire %s%s\n' "$bold" "$*" "$plain"
    .venv/bin/guestwire "$@"
}

down() {
    if [[ $up == yes ]]; then
        up=no
        shown down "$file" --lab || return
    fi
}

# The kernel lets an ordinary user open no macvtap, and some machines no tap: there these guests get a link instead.
folder=''
if ((EUID)); then
    devices=macvtap
    [[ -r /dev/net/tun && -w /dev/net/tun ]] || devices='(macv)?tap'
    folder=$(mktemp -d)
    sed -E "s/, device: $devices\}/}/" "$file" >"$folder/three-ways.yaml"
    file=$folder/three-ways.yaml
    echo "Without root: the guests of $(basename "$file") are plugged in by links, where a descriptor isn't to be had."
fi

trap 'down; [[ -z $folder ]] || rm -r "$folder"' EXIT
trap 'exit 130' INT TERM HUP

up=yes  # also a failed or interrupted one may have left something; down says what
result=0
shown up "$file" --lab || result=$?
if ((result == 0)); then
    shown check "$file" --lab || result=$?
    shown draw "$file" --lab || { code=$?; ((result)) || result=$code; }
fi
down || { code=$?; ((result)) || result=$code; }

took=$((${EPOCHREALTIME/[.,]/} - begun))
printf '\nThe demo took %d.%d s and ended with %d.\n' $((took / 1000000)) $((took / 100000 % 10)) "$result"
exit "$result"
