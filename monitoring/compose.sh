#!/usr/bin/env bash
# Starts the containers of compose.yml with demo data, and ends them with Ctrl-C. Without Docker there is up.sh.
#
# The containers and volumes are of a project of their own, and are removed at the end.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/build/monitoring # a folder that Docker can mount on every system
# shellcheck source=monitoring/demo_data.sh # found from here, wherever it is run from
. "$root/monitoring/demo_data.sh"

compose=(docker compose --project-name dora-metrics-demo --file "$root/monitoring/compose.yml")

main() {
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  rm -rf "$work"
  printf 'Making 90 days of history, about ten seconds\n' >&2
  make_history "$work"
  "${compose[@]}" down --volumes >/dev/null 2>&1 # of an earlier demo that was killed
  "${compose[@]}" run --rm --no-deps --volume "$work:/demo:ro" --entrypoint promtool prometheus \
    tsdb create-blocks-from openmetrics --max-block-duration=2160h /demo/history.om /prometheus >/dev/null
  "${compose[@]}" up --detach
  await_gateway
  push_numbers "$work" "http://127.0.0.1:${PUSHGATEWAY_PORT:-9091}"
  show_addresses
  "${compose[@]}" logs --follow --tail 0 >/dev/null # until Ctrl-C
}

await_gateway() {
  for _ in {1..60}; do
    if "${compose[@]}" exec -T pushgateway wget -q -O /dev/null http://127.0.0.1:9091/-/ready; then return; fi
    sleep 1
  done
  printf 'monitoring/compose.sh: the Pushgateway did not answer within a minute\n' >&2
  exit 1
}

show_addresses() {
  cat <<END
Grafana       http://127.0.0.1:${GRAFANA_PORT:-3000}
Prometheus    http://127.0.0.1:${PROMETHEUS_PORT:-9090}
  alerts      http://127.0.0.1:${PROMETHEUS_PORT:-9090}/alerts
Alertmanager  http://127.0.0.1:${ALERTMANAGER_PORT:-9093}
Pushgateway   http://127.0.0.1:${PUSHGATEWAY_PORT:-9091}
Press Ctrl-C to end them.
END
}

finish() {
  local status=$?
  trap '' INT TERM
  "${compose[@]}" down --volumes >/dev/null 2>&1 || true
  exit "$status"
}

main
