# shellcheck shell=bash
# The demo data of up.sh and compose.sh, which source this file. PYTHON is an interpreter that has the packages of the
# product; by default that of make.

demo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

python() {
  PYTHONPATH="$demo_root/src" "${PYTHON:-$demo_root/.venv/bin/python}" "$@"
}

# Writes facts of 200 days until now into a folder, and the samples of 90 days for promtool.
make_history() {
  local folder=$1
  mkdir -p "$folder/ledger/facts"
  python "$demo_root/tools/demo_history.py" "$folder/ledger/facts/demo.jsonl" >"$folder/repositories"
  python -m dora_metrics compute --facts "$folder/ledger/facts/demo.jsonl" --config "$demo_root/monitoring/demo.yml" \
    --format openmetrics --since 90d >"$folder/history.om"
}

# Pushes the numbers of now to a gateway, as the daily run of each repository would.
push_numbers() {
  local folder=$1 gateway=$2 repository
  while read -r repository; do
    python -m dora_metrics rebuild --repository "$repository" --ledger "dir:$folder/ledger" --page false \
      --config "$demo_root/monitoring/demo.yml" --pushgateway-url "$gateway" --strict true >"$folder/push.log" 2>&1 ||
      { cat "$folder/push.log" >&2 && return 1; }
  done <"$folder/repositories"
}
