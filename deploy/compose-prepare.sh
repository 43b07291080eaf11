#!/usr/bin/env bash
# Makes the secrets that compose.yaml uses, in deploy/compose.secrets: certificates, passwords, the ledger's keys, the
# issuer's secret, a configuration. Keeps what is there.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p compose.secrets
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
upper() { printf %s "$1" | tr a-z- A-Z_; }

[ -e compose.secrets/certificates/nats-3.pem ] || nats/make-certificates.sh compose.secrets/certificates nats-1 nats-2 nats-3
# The containers run as another user, and a certificate is no secret.
chmod 711 compose.secrets compose.secrets/certificates
chmod 644 compose.secrets/certificates/ca.pem
for key in master.key signing.key issuer.secret; do
  [ -e "compose.secrets/$key" ] || random 32 >"compose.secrets/$key"
done
roles="admin processor gateway ops settlement clock webhooks mail client sys"
for role in $roles; do
  # A letter first, as the servers read it from their environment.
  [ -e "compose.secrets/$role.password" ] || printf 'p%s\n' "$(random 16)" >"compose.secrets/$role.password"
  printf 'FLORIN_NATS_%s_PASSWORD=%s\n' "$(upper "$role")" "$(cat "compose.secrets/$role.password")"
done >compose.secrets/nats.env
# Each role gets the secrets that it needs and no other.
for role in $roles issuer-sandbox; do
  {
    [ ! -e "compose.secrets/$role.password" ] || printf 'FLORIN_NATS_PASSWORD=%s\n' "$(cat "compose.secrets/$role.password")"
    case $role in
      clock | client | sys | processor) ;;
      *) printf 'FLORIN_MASTER_KEY=%s\n' "$(cat compose.secrets/master.key)" ;;
    esac
    case $role in
      admin | processor) printf 'FLORIN_SIGNING_KEY=%s\n' "$(cat compose.secrets/signing.key)" ;;
    esac
    printf 'FLORIN_ISSUER_SECRET=%s\n' "$(cat compose.secrets/issuer.secret)"
  } >"compose.secrets/$role.env"
done
[ -e compose.secrets/florin.toml ] || cat >compose.secrets/florin.toml <<'TOML'
# Put the lines of `florin token` here, for the dashboard and for ops.
[issuer]
kind = "http"
url = "http://issuer-sandbox:8082"
TOML
chmod 644 compose.secrets/florin.toml
echo "secrets are in $PWD/compose.secrets; next: docker compose up --build"
