#!/usr/bin/env bash
# ./dev demo: one device's whole life on real parts, each outcome asserted. --keep leaves it running.
set -euo pipefail

bin=$PWD/build/release/bin
keep=
[[ ${1:-} != --keep ]] || keep=yes
work=$(mktemp -d /tmp/touchmark-demo-XXXXXX)
place=$work/place
log=$work/touchmarkd.log
daemon=
children=()
mqtts='' https='' operators=''

finish() {
    local status=$?
    trap - EXIT
    if ((status != 0)); then
        echo "demo: FAILED in the step above; the log's end:" >&2
        tail -n 12 "$log" >&2 2>/dev/null || true
    fi
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    if [[ $keep && $status == 0 ]]; then
        go_on
    else
        [[ -z $daemon ]] || { kill "$daemon" 2>/dev/null && wait "$daemon"; } || true
        rm -rf "$work"
    fi
    exit "$status"
}
trap finish EXIT

go_on() {
    cat <<TEXT

Left running: touchmarkd is process $daemon, its log $log.
  the operator:  $bin/touchmark device list --profile $place/operator/operator.conf
  a device:      cd $work/dev-1 && mosquitto_sub -V 5 -h localhost -p $mqtts --cafile chain.pem --cert dev-1.pem --key dev-1.key -i dev-1 -t 'plant/dev-1/#' -v
  stop it:       kill $daemon; rm -rf $work
TEXT
}

step() { printf '%-10s %s\n' "$1" "$2"; }
die() {
    echo "demo: $*" >&2
    exit 1
}
refuses() { # WHAT PATTERN COMMAND...: it must fail, and say so
    local what=$1 pattern=$2
    shift 2
    if "$@" >"$work/refused" 2>&1; then die "$what was accepted"; fi
    grep -qE -- "$pattern" "$work/refused" || die "$what failed otherwise: $(tail -n 1 "$work/refused")"
}
expects() { # PATTERN FILE: within 10 s
    for ((i = 0; i < 200; i++)); do
        ! grep -qE -- "$1" "$2" 2>/dev/null || return 0
        sleep 0.05
    done
    die "no line like '$1' in $(basename "$2"): $(tail -n 3 "$2" 2>/dev/null)"
}
wait_log() { # EVENT COUNT
    for ((i = 0; i < 600; i++)); do
        (($(grep -c " event=$1 " "$log" 2>/dev/null || true) < $2)) || return 0
        sleep 0.05
    done
    die "no event $1 within 30 s"
}
port_of() { sed -n "s/.* process=$1 event=door.listening listener=$2 address=[^ ]*:\([0-9]*\)$/\1/p" "$log" | tail -n 1; }
touchmark() { "$bin/touchmark" "$@" --profile "$place/operator/operator.conf" --server "https://localhost:$operators"; }
now_ms() { date +%s%3N; }
# mqtt pub|sub DEVICE OPTION...: mosquitto's client with the device's own certificate
mqtt() {
    local what=$1 device=$2
    shift 2
    stdbuf -oL "mosquitto_$what" -V 5 -h localhost -p "$mqtts" -i "$device" --cafile "$work/$device/chain.pem" \
        --cert "$work/$device/$device.pem" --key "$work/$device/$device.key" "$@"
}

# ---- The ceremony ----
chmod 755 "$work"
user=()
# Nobody on Debian has these numbers; a real machine has the users of deploy/sysusers.d.
((EUID != 0)) || user=(--signer-user 61001 --authority-user 61002 --device-door-user 61003 --operator-door-user 61004 --exporter-user 61006)
"$bin/touchmark" init "$place" --organization Demo --operator ada "${user[@]}" \
    --mqtts 127.0.0.1:0 --https 127.0.0.1:0 --http 127.0.0.1:0 --operator-https 127.0.0.1:0 >"$work/told"
for name in devices operators doors; do
    openssl verify -x509_strict -CAfile "$place/ca/root.pem" "$place/ca/$name.pem" >/dev/null
done
step ceremony "$(grep 'Root certificate' "$work/told"); openssl accepts the CAs under it"
mv "$place/root" "$work/safe"
step root "the root's token and PINs are carried away; what follows works without them"

# ---- The processes ----
# A container's root may lock 8 MiB only; a real machine keeps the default.
printf '[sandbox]\nlocked_memory = optional\n[supervisor]\nlog_level = info\n' >>"$place/touchmark.conf"
touch "$log"
"$bin/touchmarkd" --config "$place/touchmark.conf" </dev/null >"$log" 2>&1 &
daemon=$!
wait_log supervisor.ready 1
wait_log door.listening 4
mqtts=$(port_of device-door mqtts) https=$(port_of device-door https) operators=$(port_of operator-door https)
step running "$(pgrep -P "$daemon" | wc -l) processes, $(grep -c 'event=process.jailed' "$log") jails entered; devices at $mqtts (MQTT) and $https (EST), operators at $operators"

# ---- Two devices, two ways to enrol ----
cat >"$work/demo.policy" <<'TEXT'
allow device connect
allow device publish, subscribe "plant/${device.id}/#"
allow device subscribe "plant/all/#"
# What roles do anyhow, and under the setting authority.acts = policy by these rules alone.
allow operator, line call "+/#"
allow role "admin" revoke
allow anyone enroll, renew
TEXT
"$bin/touchmark" policy check "$work/demo.policy" >/dev/null
touchmark device add dev-1 --group pumps --label "enrolled by touchmark" >/dev/null
touchmark device add dev-2 --group pumps --label "enrolled by openssl and curl" >/dev/null
step devices "dev-1 and dev-2 are registered; each gets a one-time token"

mkdir "$work/dev-1" "$work/dev-2"
touchmark token new dev-1 2>/dev/null |
    "$bin/touchmark" enroll dev-1 --server "https://localhost:$https" --authorities "$place/ca/chain.pem" --token - --out "$work/dev-1" >/dev/null
step enrolled "dev-1 with touchmark enroll: $(openssl x509 -in "$work/dev-1/dev-1.pem" -noout -subject)"

(
    cd "$work/dev-2"
    umask 077
    touchmark token new dev-2 2>/dev/null | sed 's/^/user = "/; s/$/"/' >curl.conf # the secret is in no argument
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout dev-2.key -subj /serialNumber=dev-2 -outform DER 2>/dev/null |
        openssl base64 >csr.b64
    curl -sSf --cacert "$place/ca/chain.pem" -K curl.conf -H 'Content-Type: application/pkcs10' --data-binary @csr.b64 \
        "https://localhost:$https/.well-known/est/simpleenroll" | openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out dev-2.pem
    curl -sSf --cacert "$place/ca/chain.pem" "https://localhost:$https/.well-known/est/cacerts" |
        openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out chain.pem
)
openssl verify -CAfile "$place/ca/root.pem" -untrusted "$place/ca/devices.pem" "$work/dev-2/dev-2.pem" >/dev/null
step enrolled "dev-2 with nothing but openssl and curl: $(openssl x509 -in "$work/dev-2/dev-2.pem" -noout -subject)"
refuses "a token for the second time" "error: 401" curl -sSf --cacert "$place/ca/chain.pem" -K "$work/dev-2/curl.conf" -H 'Content-Type: application/pkcs10' \
    --data-binary @"$work/dev-2/csr.b64" "https://localhost:$https/.well-known/est/simpleenroll"
step refused "the same token once more: it has one use"

# ---- Policy ----
refuses "a connection under deny-all" "Not authorized|not authori[sz]ed" mqtt pub dev-1 -t plant/dev-1/state -m on -q 1
step refused "dev-1 may not even connect: the first policy denies all"
touchmark policy apply "$work/demo.policy" --why "each device its own branch" >/dev/null
step policy "version $(touchmark policy show --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["version"])'): each device has its own branch of topics"

stamped() { while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done; }
for ((i = 0; i < 100; i++)); do
    mqtt pub dev-1 -t plant/dev-1/state -m on -q 1 2>/dev/null && break
    sleep 0.1
done
((i < 100)) || die "dev-1 cannot publish what it may"
mqtt sub dev-2 -d -t 'plant/dev-2/#' -q 1 > >(stamped >"$work/sub") 2>&1 &
children+=($!)
step allowed "dev-1 published plant/dev-1/state at QoS 1 over mutual TLS, acknowledged"
mqtt pub dev-1 -t plant/dev-2/state -m off -q 1 >"$work/denied" 2>&1 || true
expects 'Not authorized|135' "$work/denied"
step denied "dev-1 publishing plant/dev-2/state: $(tail -n 1 "$work/denied")"

# ---- The cut ----
ms_between() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", (b - a) * 1000 }'; }
expects 'SUBACK' "$work/sub"
began=$EPOCHREALTIME
touchmark device revoke dev-2 --reason keyCompromise --wait >"$work/revoked"
waited=$EPOCHREALTIME
expects 'DISCONNECT' "$work/sub"
cut=$(grep -m1 DISCONNECT "$work/sub" | cut -d' ' -f1)
step revoked "dev-2: its live connection was cut $(ms_between "$began" "$cut") ms after the command began; every door had acknowledged after $(ms_between "$began" "$waited") ms"
refuses "a revoked device" "connection was lost|certificate revoked|A TLS error" mqtt pub dev-2 -t plant/dev-2/state -m on -q 1
step refused "dev-2 cannot come back: $(tail -n 1 "$work/refused")"
mqtt pub dev-1 -t plant/dev-1/state -m on -q 1
step unharmed "dev-1 goes on"

# ---- The audit log ----
sleep 1.5 # a checkpoint is signed each second
echo
touchmark audit list --limit 500
echo
touchmark audit list --limit 500 --json >"$work/audit.json"
for action in device.add token.new certificate.issue policy.apply session.open publish device.revoke session.cut handshake; do
    grep -q "\"action\": *\"$action\"" "$work/audit.json" || die "the audit log has no $action"
done
touchmark audit export "$work/export" >/dev/null
"$bin/touchmark" audit verify "$work/export" --key "$place/ca/checkpoints.pub.pem" >"$work/verified"
step verified "$(head -n 1 "$work/verified")"
cp -r "$work/export" "$work/corrupt"
size=$(stat -c %s "$work/corrupt/records")
printf '\x01' | dd of="$work/corrupt/records" bs=1 seek=$((size / 2)) conv=notrunc status=none
cmp -s "$work/export/records" "$work/corrupt/records" && die "the copy was not changed"
refuses "a changed audit log" "record [0-9]+: " "$bin/touchmark" audit verify "$work/corrupt" --key "$place/ca/checkpoints.pub.pem"
step corrupted "one octet of a copy changed: $(tail -n 1 "$work/refused")"

# ---- What the processes are made of ----
signer=$(pgrep -o -P "$daemon" -x touchmark-signe)
began=$EPOCHREALTIME
ready=$(grep -c ' event=process.ready ' "$log")
kill -9 "$signer"
wait_log process.ready $((ready + 1))
step recovered "the signer was killed (kill -9) and served again after $(ms_between "$began" "$EPOCHREALTIME") ms"
if grep -qF "$(cat "$place/secrets/issuing.pin")" "$log"; then die "the PIN is in the log"; fi

if [[ ! $keep ]]; then
    kill "$daemon"
    wait "$daemon" || die "touchmarkd did not end well"
    daemon=
    step stopped "everything ended on SIGTERM"
fi
