#!/usr/bin/env bash
# Florin on NATS, all on this machine: three nats-servers, two processors, two settlement consumers, two gateways, ops with
# a sandbox issuer, webhooks, mail, clock; each a process of its own, each with the NATS user of its role. Makes a ledger with the demo
# policy and the demo's users, prints what to try, starts again what dies, and stops everything on Ctrl-C.
#
#   deploy/local-cluster.sh [--dir DIR] [--port BASE] [--partitions N] [--florin FILE] [--nats-server FILE]
#
#   --dir DIR           where everything lies [florin-cluster]; started again on the same DIR, it goes on where it was
#   --port BASE         first of 32 ports on loopback [14220]
#   --partitions N      partitions of a new ledger [4]
#   --florin FILE       the binary [target/release/florin, built if it is not there]
#   --nats-server FILE  the server [FLORIN_NATS_SERVER, else the nats-server in PATH or /usr/sbin]
#
# In DIR: logs/NAME.log, pids/NAME.pid (kill one to see that the others go on), demo.json, florin.toml, the stores.
set -euo pipefail
set -m # children in groups of their own, so that Ctrl-C reaches this script alone and the end has an order

here=$(cd "$(dirname "$0")" && pwd)
dir=florin-cluster base=14220 partitions=4 florin=${FLORIN:-} server=${FLORIN_NATS_SERVER:-}
while [ $# -gt 0 ]; do
  case $1 in
    --dir | --port | --partitions | --florin | --nats-server)
      [ $# -ge 2 ] || { echo "$0: $1 needs a value" >&2; exit 2; }
      case $1 in
        --dir) dir=$2 ;;
        --port) base=$2 ;;
        --partitions) partitions=$2 ;;
        --florin) florin=$2 ;;
        --nats-server) server=$2 ;;
      esac
      shift 2 ;;
    -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "$0: no option $1; see --help" >&2; exit 2 ;;
  esac
done

if [ -z "$florin" ]; then
  florin=$here/../target/release/florin
  [ -x "$florin" ] || (cd "$here/.." && cargo build --release -p florin-cli)
fi
if [ -z "$server" ]; then
  server=$(PATH=$PATH:/usr/sbin command -v nats-server) || {
    echo "there is no nats-server: install one (2.12 or later), or name it with --nats-server" >&2
    exit 1
  }
fi
umask 077
mkdir -p "$dir"/{logs,pids,passwords,nats}
dir=$(cd "$dir" && pwd)
rm -f "$dir"/stopping "$dir"/pids/*

# ------------------------------------------------------------------------------------------------ what the processes read
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
upper() { printf %s "$1" | tr a-z A-Z; }
for role in admin processor gateway ops settlement clock webhooks mail client sys; do
  [ -s "$dir/passwords/$role" ] || printf 'p%s\n' "$(random 16)" >"$dir/passwords/$role"
done
[ -s "$dir/issuer.secret" ] || random 32 >"$dir/issuer.secret"

version=$("$server" --version | sed -n 's/^nats-server: v\{0,1\}\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
read -r major minor <<<"$version"
sync="sync_interval: always" old=false
if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 12 ]; }; then
  echo "nats-server $major.$minor cannot sync before it acknowledges: fine for a try, not for money" >&2
  sync="" old=true
fi
client() { echo $((base + $1 - 1)); }
route() { echo $((base + 2 + $1)); }
urls="nats://127.0.0.1:$(client 1),nats://127.0.0.1:$(client 2),nats://127.0.0.1:$(client 3)"
for n in 1 2 3; do
  cat >"$dir/nats/$n.conf" <<CONF
server_name: florin-$n
listen: "127.0.0.1:$(client $n)"
max_payload: 2MB
jetstream { store_dir: "$dir/nats/store-$n", max_memory_store: 64MB, max_file_store: 20GB
  $sync
}
cluster { name: florin, listen: "127.0.0.1:$(route $n)"
  no_advertise: true # florin.toml names all three
  routes: ["nats://127.0.0.1:$(route 1)", "nats://127.0.0.1:$(route 2)", "nats://127.0.0.1:$(route 3)"]
}
include "permissions.conf"
CONF
done
cp "$here/nats/permissions.conf" "$dir/nats/permissions.conf"
cat >"$dir/florin.toml" <<TOML
[nats]
url = "$urls"
ledger = "main"
replicas = 3
allow_old_server = $old

[ledger]
partitions = $partitions

[issuer]
kind = "http"
url = "http://127.0.0.1:$((base + 30))"
secret_file = "$dir/issuer.secret"

[secrets]
master_key_file = "$dir/master.key"
signing_key_file = "$dir/signing.key"
TOML
export FLORIN_CONFIG=$dir/florin.toml

# ------------------------------------------------------------------------------------------------------------- processes
keepers=()
# keep NAME COMMAND… — runs it, and again half a second after it ended, until everything stops.
keep() {
  local name=$1
  shift
  (
    while [ ! -e "$dir/stopping" ]; do
      "$@" >>"$dir/logs/$name.log" 2>&1 &
      echo $! >"$dir/pids/.$name" && mv "$dir/pids/.$name" "$dir/pids/$name.pid"
      wait $! || true
      rm -f "$dir/pids/$name.pid"
      sleep 0.5
    done
  ) &
  keepers+=($!)
}
# nats NUMBER — a server; it alone gets all passwords.
nats() {
  local role
  for role in "$dir"/passwords/*; do
    export "FLORIN_NATS_$(upper "${role##*/}")_PASSWORD=$(cat "$role")"
  done
  exec "$server" -c "$dir/nats/$1.conf"
}
# as USER COMMAND… — with the NATS user of a role.
as() {
  local user=$1
  shift
  FLORIN_NATS_USER=$user FLORIN_NATS_PASSWORD=$(cat "$dir/passwords/$user") FLORIN_NATS_INBOX_PREFIX=_INBOX_$user \
    exec "$@"
}
# role NAME USER ROLES OPTIONS… — a florin of these roles with a directory of its own.
role() {
  local name=$1 user=$2 roles=$3
  shift 3
  # shellcheck disable=SC2086
  keep "$name" as "$user" "$florin" run $roles --data "$dir/$name" --demo "$dir/demo.json" "$@"
}
# end NAME… — tells them to stop and waits until they are gone.
end() {
  local name pid patience
  for name in "$@"; do
    pid=$(cat "$dir/pids/$name.pid" 2>/dev/null) && kill -TERM "$pid" 2>/dev/null || true
  done
  for name in "$@"; do
    pid=$(cat "$dir/pids/$name.pid" 2>/dev/null) || continue
    patience=150
    while kill -0 "$pid" 2>/dev/null && [ $patience -gt 0 ]; do
      patience=$((patience - 1))
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}
nap=
stop() {
  trap '' INT TERM
  trap - EXIT
  [ -z "$nap" ] || kill "$nap" 2>/dev/null || true
  touch "$dir/stopping"
  echo "stopping" >&2
  end gateway-1 gateway-2
  end ops webhooks mail clock settlement-1 settlement-2
  end processor-1 processor-2
  end nats-1 nats-2 nats-3
  for keeper in "${keepers[@]:-}"; do
    [ -z "$keeper" ] || wait "$keeper" 2>/dev/null || true
  done
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM
trap 'code=$?; [ $code -eq 0 ] || echo "something did not start: see $dir/logs" >&2; stop; exit $code' EXIT

# ready PORT PATH SECONDS — waits for an answer 200.
ready() {
  local deadline=$((SECONDS + $3)) line
  while [ $SECONDS -lt $deadline ]; do
    line=$( (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3 && head -n 1 <&3) 2>/dev/null || true)
    case $line in *" 200 "*) return 0 ;; esac
    sleep 0.2
  done
  echo "http://127.0.0.1:$1$2 is not ready after $3 s" >&2
  return 1
}

for n in 1 2 3; do
  keep "nats-$n" nats "$n"
done
# On a slow machine the servers take a while to agree on who leads them: 9 is a NATS that is not there yet.
for try in 1 2 3 4 5 6; do
  code=0
  (as admin "$florin" ledger create --nats "$urls" --data "$dir/keys" --if-missing) || code=$?
  [ $code -eq 9 ] && [ "$try" -lt 6 ] || break
done
[ $code -eq 0 ] || exit $code
"$florin" demo prepare "$dir/demo.json" --listen "127.0.0.1:$((base + 10))" --ops-listen "127.0.0.1:$((base + 20))"

ops_listen() { echo "--ops-listen 127.0.0.1:$((base + $1))"; }
# shellcheck disable=SC2046
{
  role ops ops "ops issuer-sandbox" $(ops_listen 20) --issuer-listen "127.0.0.1:$((base + 30))"
  role processor-1 processor processor $(ops_listen 21)
  role processor-2 processor processor $(ops_listen 22)
  role settlement-1 settlement settlement $(ops_listen 23)
  role settlement-2 settlement settlement $(ops_listen 24)
  role gateway-1 gateway gateway $(ops_listen 25) --listen "127.0.0.1:$((base + 10))"
  role gateway-2 gateway gateway $(ops_listen 26) --listen "127.0.0.1:$((base + 11))"
  role clock clock clock $(ops_listen 27)
  role webhooks webhooks webhooks $(ops_listen 28)
  role mail mail mail $(ops_listen 29)
}
for n in 21 22 23 24 27 28 29; do ready $((base + n)) /readyz 60; done
ready $((base + 20)) /healthz 60
"$florin" demo seed "$dir/demo.json"
for n in 20 25 26; do ready $((base + n)) /readyz 60; done

cat <<TEXT
A second gateway serves the same at http://127.0.0.1:$((base + 11)).
NATS: nats://127.0.0.1:$(client 1) (and $(client 2), $(client 3)), ledger main; users and passwords: $dir/passwords
Logs: $dir/logs. Kill what you like: kill -9 \$(cat $dir/pids/processor-1.pid)
ready
TEXT
# Until told to stop.
while :; do
  sleep 3600 & nap=$!
  wait "$nap" || true
done
