#!/usr/bin/env bash
# ./dev demo: what there is, on real parts, each step asserted. --keep leaves the place running.
set -euo pipefail

bin=$PWD/build/release/bin
keep=
[[ ${1:-} != --keep ]] || keep=yes
work=$(mktemp -d /tmp/touchmark-demo-XXXXXX)
place=$work/place
log=$work/touchmarkd.log
daemon=

finish() {
    local status=$?
    trap - EXIT
    if ((status != 0)); then
        echo "demo: FAILED in the step above; the log's end:" >&2
        tail -n 5 "$log" >&2 2>/dev/null || true
    fi
    if [[ $keep && $status == 0 ]]; then
        echo "Left running: process $daemon, log $log"
        echo "Stop it with: kill $daemon; remove $work when done."
    else
        [[ -z $daemon ]] || { kill "$daemon" 2>/dev/null && wait "$daemon"; } || true
        rm -rf "$work"
    fi
    exit "$status"
}
trap finish EXIT

step() { printf '%-10s %s\n' "$1" "$2"; }
die() {
    echo "demo: $*" >&2
    exit 1
}
# refuses WHAT COMMAND...: it must fail
refuses() {
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then die "$what was accepted"; fi
}
wait_log() {
    for ((i = 0; i < 600; i++)); do
        (($(grep -c " event=$1 " "$log" 2>/dev/null || true) < $2)) || return 0
        sleep 0.05
    done
    die "no event $1 within 30 s"
}
signers() { pgrep -P "$daemon" -x touchmark-signe; }

chmod 755 "$work"
user=()
# Nobody on Debian has these numbers; a real machine has the users of deploy/sysusers.d.
((EUID != 0)) || user=(--signer-user 61001 --authority-user 61002 --device-door-user 61003 --operator-door-user 61004)

"$bin/touchmark" init "$place" --organization Demo --operator ada "${user[@]}" >"$work/told"
step ceremony "$(grep 'Root certificate' "$work/told")"

for name in devices operators doors; do
    openssl verify -x509_strict -CAfile "$place/ca/root.pem" "$place/ca/$name.pem" >/dev/null
done
openssl verify -CAfile "$place/ca/root.pem" -untrusted "$place/ca/operators.pem" "$place/operator/ada.pem" >/dev/null
step verified "openssl accepts the CAs and the first operator under the root"

refuses "another family's CA" openssl verify -CAfile "$place/ca/root.pem" -untrusted "$place/ca/devices.pem" "$place/operator/ada.pem"
step refused "the operator is not taken for a device"

mv "$place/root" "$work/safe"
step root "the root's token and PINs are carried away; what follows works without them"

# A container's root may lock 8 MiB only; a real machine keeps the default.
printf '[sandbox]\nlocked_memory = optional\n[supervisor]\nlog_level = info\n' >>"$place/touchmark.conf"
"$bin/touchmarkd" --config "$place/touchmark.conf" </dev/null >"$log" 2>&1 &
daemon=$!
wait_log supervisor.ready 1
signer=$(signers)
step running "signer $signer and its workers, as user $(stat -c %u "/proc/$signer"), $(grep -c 'event=process.jailed' "$log") jails entered"

[[ $(sed -n 's/^Seccomp:\t//p' "/proc/$signer/status") == 2 ]] || die "no seccomp filter"
[[ $(sed -n 's/^NoNewPrivs:\t//p' "/proc/$signer/status") == 1 ]] || die "new privileges are possible"
if grep -qF "$(cat "$place/secrets/issuing.pin")" "$log"; then die "the PIN is in the log"; fi
step jailed "no new privileges, seccomp filter on, the PIN is not in the log"

began=$(date +%s%N)
kill -9 "$signer"
wait_log process.ready 2
step recovered "the signer was killed (kill -9) and serves again after $((($(date +%s%N) - began) / 1000000)) ms"

kill "$daemon"
wait "$daemon" || die "touchmarkd did not end well"
daemon=
step stopped "everything ended on SIGTERM"

cp "$place/keys/rules" "$work/rules"
sed -i 's/^rate 10 /rate 11 /' "$place/keys/rules"
status=0
timeout 30 "$bin/touchmarkd" --config "$place/touchmark.conf" 2>>"$log" || status=$?
((status == 78)) || die "altered rules: exit $status instead of 78"
cp "$work/rules" "$place/keys/rules"
step rules "with one number of the key rules altered the signer refuses to start: the root did not sign that"

cp -p "$place/secrets/issuing.pin" "$work/pin"
printf 'not the pin' >"$place/secrets/issuing.pin"
status=0
timeout 30 "$bin/touchmarkd" --config "$place/touchmark.conf" 2>>"$log" || status=$?
((status == 77)) || die "wrong PIN: exit $status instead of 77"
step pin "a wrong PIN is tried once and ends everything; no token gets locked"

cp -p "$work/pin" "$place/secrets/issuing.pin"

if [[ $keep ]]; then
    "$bin/touchmarkd" --config "$place/touchmark.conf" </dev/null >>"$log" 2>&1 &
    daemon=$!
    wait_log supervisor.ready 2
fi
echo "Not shown, since it does not exist yet: enrolling a device, the doors, the audit log (README.md)."
