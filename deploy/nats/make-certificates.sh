#!/usr/bin/env bash
# Makes an authority and one certificate per server name, to try the configurations with. In production, use your own.
#   make-certificates.sh DIR NAME…      writes DIR/ca.pem and DIR/NAME.pem, DIR/NAME.key
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,3p' "$0" >&2
  exit 2
fi
dir=$1
shift
mkdir -p "$dir"
umask 077
quiet=$(mktemp)
trap 'rm -f "$quiet"' EXIT
run() { openssl "$@" 2>"$quiet" || { cat "$quiet" >&2; exit 1; }; }

if [ ! -e "$dir/ca.pem" ]; then
  run req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Florin trial authority" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$dir/ca.key" -out "$dir/ca.pem"
fi
for name in "$@"; do
  run req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$dir/$name.key" -out "$dir/$name.csr"
  run x509 -req -in "$dir/$name.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 30 \
    -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n' "$name") \
    -out "$dir/$name.pem"
  rm -f "$dir/$name.csr"
done
