#!/usr/bin/env bash
# Starts Pushgateway, Alertmanager and Prometheus with demo data on this machine, without containers, and ends them with
# Ctrl-C. Grafana is not among them: no package of Debian has it.
#
# Ports: PUSHGATEWAY_PORT (9091), ALERTMANAGER_PORT (9093), PROMETHEUS_PORT (9090); 0 takes any free port.
# All listen on 127.0.0.1 only. Files are in a temporary folder, which is removed at the end.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=monitoring/demo_data.sh # found from here, wherever it is run from
. "$root/monitoring/demo_data.sh"

prometheus='' promtool='' pushgateway='' alertmanager=''
names=()
pids=()
work=''

main() {
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  [[ -n ${PYTHON:-} || -x $root/.venv/bin/python ]] || fail "the packages are not installed; run: make monitoring"
  find_programs
  choose_ports
  work=$(mktemp -d)
  say "Making 90 days of history, about ten seconds"
  make_history "$work"
  "$promtool" tsdb create-blocks-from openmetrics --max-block-duration=2160h "$work/history.om" "$work/tsdb" \
    >"$work/promtool.log" 2>&1 || fail "promtool could not make blocks:" "$(tail -n 5 "$work/promtool.log")"
  write_configuration
  start_all
  say "Pushing the numbers of today"
  push_numbers "$work" "http://127.0.0.1:$pushgateway_port" || fail "The demo data could not be pushed."
  show_addresses
  watch_programs
}

say() { printf '%s\n' "$@" >&2; }

fail() {
  say "monitoring/up.sh: $1" "${@:2}"
  exit 1
}

# --- Before anything is started -------------------------------------------------------------------------------------

# The names of Debian first, then those of the projects.
find_programs() {
  missing=()
  find_program prometheus prometheus
  find_program promtool promtool
  find_program pushgateway prometheus-pushgateway pushgateway
  find_program alertmanager prometheus-alertmanager alertmanager
  if ((${#missing[@]})); then
    fail "not installed: ${missing[*]}" \
      "On Debian and Ubuntu: apt-get install prometheus prometheus-pushgateway prometheus-alertmanager" \
      "Elsewhere: https://prometheus.io/download, or Docker with compose and monitoring/compose.sh."
  fi
}

# Sets the variable of the first name to the program that is found under one of the others.
find_program() {
  local name program
  for name in "${@:2}"; do
    if program=$(command -v "$name"); then
      printf -v "$1" %s "$program"
      return
    fi
  done
  missing+=("$2")
}

# Says all ports that are taken, not only the first one.
choose_ports() {
  local ports
  ports=$(python - "${PUSHGATEWAY_PORT:-9091}" "${ALERTMANAGER_PORT:-9093}" "${PROMETHEUS_PORT:-9090}" <<'PYTHON'
import contextlib
import socket
import sys

names = ("PUSHGATEWAY_PORT", "ALERTMANAGER_PORT", "PROMETHEUS_PORT")
with contextlib.ExitStack() as open_sockets:
    ports, problems = [], []
    for name, text in zip(names, sys.argv[1:], strict=True):
        listener = open_sockets.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", int(text)))
            listener.listen()
        except (OSError, OverflowError):
            problems.append(f"port {text} is taken: set {name} to another one, or to 0 for any free port")
        except ValueError:
            problems.append(f"{name}: {text!r} is not a number")
        else:
            ports.append(str(listener.getsockname()[1]))
print("\n".join(problems) if problems else " ".join(ports))
sys.exit(bool(problems))
PYTHON
  ) || fail "$ports" "Debian's packages start services of their own on these ports, such as prometheus and prometheus-alertmanager."
  read -r pushgateway_port alertmanager_port prometheus_port <<<"$ports"
}

# A copy of prometheus.yml and its rules, with the addresses of this machine.
write_configuration() {
  cp "$root"/monitoring/prometheus/*.yml "$work"
  sed -e "s/pushgateway:9091/127.0.0.1:$pushgateway_port/" -e "s/alertmanager:9093/127.0.0.1:$alertmanager_port/" \
    "$root/monitoring/prometheus/prometheus.yml" >"$work/prometheus.yml"
}

# --- Programs -------------------------------------------------------------------------------------------------------

start_all() {
  # Debian's gateway keeps a file by default, and its groups would come back in the next demo.
  start "$pushgateway_port" Pushgateway "$pushgateway" --web.listen-address="127.0.0.1:$pushgateway_port" --persistence.file=
  start "$alertmanager_port" Alertmanager "$alertmanager" --config.file="$root/monitoring/alertmanager/alertmanager.yml" \
    --storage.path="$work/alertmanager" --web.listen-address="127.0.0.1:$alertmanager_port" --cluster.listen-address=
  start "$prometheus_port" Prometheus "$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --storage.tsdb.retention.time=2y --web.listen-address="127.0.0.1:$prometheus_port"
}

# Runs a program in the background, and waits until it answers on its port.
start() {
  local port=$1 name=$2 log=$work/$2.log
  "${@:3}" >"$log" 2>&1 &
  names+=("$name")
  pids+=($!)
  for _ in {1..300}; do
    kill -0 "${pids[-1]}" 2>/dev/null || fail "$name ended at once:" "$(tail -n 5 "$log")"
    if answers "http://127.0.0.1:$port/-/ready"; then return; fi
    sleep 0.1
  done
  fail "$name did not answer within 30 seconds:" "$(tail -n 5 "$log")"
}

answers() {
  python - "$1" <<'PYTHON'
import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    opener.open(sys.argv[1], timeout=2).close()
except OSError:
    sys.exit(1)
PYTHON
}

show_addresses() {
  local pages=http://127.0.0.1:$prometheus_port
  # Debian's package has the old pages only.
  if answers "$pages/classic/alerts"; then pages+=/classic; fi
  cat <<END
Prometheus    http://127.0.0.1:$prometheus_port
  alerts      $pages/alerts
  a curve     $pages/graph?g0.expr=dora_change_failure_ratio%7Bwindow%3D%2230d%22%7D&g0.tab=0&g0.range_input=12w
Alertmanager  http://127.0.0.1:$alertmanager_port
  its alerts  http://127.0.0.1:$alertmanager_port/api/v2/alerts (Debian's package has no pages)
Pushgateway   http://127.0.0.1:$pushgateway_port
Press Ctrl-C to end them.
END
}

# Returns when a signal comes; a program that ends by itself is an error.
watch_programs() {
  local status=0
  wait -n "${pids[@]}" || status=$?
  for index in "${!pids[@]}"; do
    kill -0 "${pids[index]}" 2>/dev/null || fail "${names[index]} ended (exit code $status):" \
      "$(tail -n 5 "$work/${names[index]}.log")"
  done
}

# Ends what was started, by id, and removes its files.
finish() {
  local status=$?
  trap '' INT TERM
  if ((${#pids[@]})); then
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
  fi
  [[ -z $work ]] || rm -rf "$work"
  exit "$status"
}

main
