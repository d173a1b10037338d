#!/usr/bin/env bash
# Starts `dora-metrics action`: in a container where a Linux engine works, else with the runner's own Python.
#
# Reads DORA_RUNTIME (auto, container or python) and DORA_ACTION_PATH (where the action lies). Everything else is for
# the program, which reads the environment itself; its exit code is this script's.
set -euo pipefail

main() {
  action_path=$(unix_path "$DORA_ACTION_PATH")
  [[ -n ${RUNNER_TEMP:-} ]] || fail "RUNNER_TEMP is not set. The runner sets it for each step."
  temp=$(unix_path "$RUNNER_TEMP")
  case "${DORA_RUNTIME:-auto}" in
    auto) run_anyhow ;;
    container) run_in_container_only ;;
    python) run_with_python ;;
    *)
      annotate error "The input runtime is '$DORA_RUNTIME', which is not one of auto, container, python."
      exit 2
      ;;
  esac
}

run_anyhow() {
  if find_engine; then
    run_in_container
    annotate warning "The container could not be started (the log says why), so the runner's own Python is used." \
      "Set runtime: python to skip the attempt."
  fi
  run_with_python
}

run_in_container_only() {
  find_engine || fail "runtime: container needs Docker or Podman on Linux, working for this job, and found none." \
    "Use a runner that has one, or runtime: python."
  run_in_container
  fail "The container could not be started; the log above says why. With runtime: auto, Python would be used instead."
}

# --- Container ------------------------------------------------------------------------------------------------------

# Sets engine and rootless. A container's engine does not see the files of a job that runs in a container itself, which
# are below /__w: https://docs.github.com/en/actions/how-tos/write-workflows/choose-where-workflows-run/run-jobs-in-a-container
find_engine() {
  [[ $(uname -s) == Linux && ${GITHUB_WORKSPACE:-} != /__w/* ]] || return 1
  local info
  for engine in docker podman; do
    # `info` asks the engine itself; a client without a daemon answers `version`.
    info=$(timeout 15 "$engine" info 2>/dev/null) || continue
    rootless=false
    if grep -qE '^ *(name=)?rootless(: true)?$' <<<"$info"; then rootless=true; fi
    return 0
  done
  return 1
}

# Leaves the script with the program's exit code; comes back only when the program could not be started.
run_in_container() {
  find_image || return 0
  collect_mounts
  collect_variables
  # --network host: a Pushgateway on the runner's localhost is meant to be reached. label=disable and --userns host: the
  # runner's files can be used, also where the engine separates containers by SELinux or by a range of users.
  run_until_cancelled "$engine" run --rm --pull never --network host --userns host --cap-drop ALL \
    --security-opt no-new-privileges --security-opt label=disable --user "$(container_user)" --workdir "$GITHUB_WORKSPACE" \
    "${mounts[@]}" "${variables[@]}" "$image" action
  # 125 to 127 are the engine's own; the program ends with 126 where it cannot use the runner's files after all:
  # https://docs.docker.com/engine/containers/run/#exit-status
  if [[ $cancelled == true ]] || ((status < 125 || status > 127)); then exit "$status"; fi
}

# Runs a command, and hands on the signals by which GitHub cancels a job; sets status and cancelled. GitHub signals this
# script alone, and bash would not look at a signal before a command in the foreground has ended:
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
run_until_cancelled() {
  local process=""
  cancelled=false
  # As TERM, since bash has a command in the background ignore INT.
  trap 'cancelled=true; is_waiting=true; if [[ -n $process ]]; then kill -TERM "$process" 2>/dev/null || true; fi' INT TERM
  "$@" &
  process=$!
  local is_waiting=true
  # A signal ends `wait`, not the command.
  while [[ $is_waiting == true ]]; do
    is_waiting=false status=0
    wait "$process" || status=$?
  done
  trap - INT TERM
}

# Root inside would leave files behind that the runner cannot remove, and needs a capability to write the runner's.
# In a rootless engine, root inside is the runner's user outside.
container_user() {
  if [[ $rootless == true ]]; then echo 0:0; else echo "$(id -u):$(id -g)"; fi
}

# Sets image: the one of the release (action/image holds its digest) or, between releases, one built from this commit.
# Both stay for later steps of the job. A tag does not say what it names: on a self-hosted runner, an earlier job may have
# given it to an image of its own. So the first step of each job builds, of layers that the engine has already.
find_image() {
  if [[ -f $action_path/action/image ]]; then
    image=$(tr -d '[:space:]' <"$action_path/action/image")
    have_image || in_group "Pull $image" "$engine" pull "$image"
  else
    local hash
    hash=$(sources_hash) || return 1
    image=localhost/dora-metrics:$hash
    local mark=$temp/dora-metrics-image-$hash
    if [[ ! -e $mark ]] || ! have_image; then build_image && : >"$mark"; fi
  fi
}

have_image() { "$engine" image inspect "$image" >/dev/null 2>&1; }

build_image() {
  local name arguments=()
  for name in $(compgen -e | grep -iE '^(https?|all|no)_proxy$'); do arguments+=(--build-arg "$name"); done
  in_group "Build the action's image" "$engine" build --tag "$image" \
    ${arguments[@]+"${arguments[@]}"} --file "$action_path/Dockerfile" "$action_path"
}

sources_hash() {
  (
    cd "$action_path"
    find Dockerfile requirements/runtime.txt src templates -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z |
      xargs -0 cat -- | hash_of
  )
}

# The runner's folders at their own paths, so that every path in GITHUB_* means the same inside.
collect_mounts() {
  mounts=()
  mounted=()
  mount "$GITHUB_WORKSPACE"
  mount "$RUNNER_TEMP"
  local file
  for file in "${GITHUB_EVENT_PATH:-}" "${GITHUB_OUTPUT:-}" "${GITHUB_STEP_SUMMARY:-}"; do
    if [[ -n $file ]]; then mount "$(dirname "$file")"; fi
  done
  # The certificate authority of a GitHub Enterprise Server.
  for file in "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}"; do
    if [[ -e $file ]]; then mount "$file" readonly; fi
  done
}

# --mount, since an engine that does not see the folder refuses it; --volume would make an empty one:
# https://docs.docker.com/engine/storage/bind-mounts/#differences-between--v-and---mount-behavior
mount() {
  local other
  for other in ${mounted[@]+"${mounted[@]}"}; do
    if [[ $1/ == "$other"/* ]]; then return; fi
  done
  mounted+=("$1")
  mounts+=(--mount "type=bind,$(csv_field "source=$1"),$(csv_field "target=$1")${2:+,$2}")
}

# The value of --mount is a line of CSV, so a comma in a path needs quotes.
csv_field() {
  if [[ $1 == *[,\"]* ]]; then printf '"%s"' "${1//\"/\"\"}"; else printf '%s' "$1"; fi
}

# What the program reads, and no more: a job may have secrets of its own in variables such as GITHUB_PAT. By name only: a
# value on a command line can be read by every process of the machine.
passed_variables=(
  DORA_INPUTS DORA_CHECK_RUN_ID DORA_JOB_INDEX DORA_JOB_TOTAL
  GITHUB_ACTIONS GITHUB_API_URL GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_JOB GITHUB_OUTPUT GITHUB_REF
  GITHUB_REPOSITORY GITHUB_REPOSITORY_ID GITHUB_RUN_ATTEMPT GITHUB_RUN_ID GITHUB_SERVER_URL GITHUB_SHA
  GITHUB_STEP_SUMMARY GITHUB_WORKFLOW GITHUB_WORKSPACE RUNNER_TEMP ACT BIGQUERY_EMULATOR_HOST
  SSL_CERT_FILE REQUESTS_CA_BUNDLE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
  http_proxy https_proxy all_proxy no_proxy
)

collect_variables() {
  variables=()
  local name
  for name in "${passed_variables[@]}"; do
    if [[ -n ${!name+set} ]]; then variables+=(--env "$name"); fi
  done
}

# --- Python ---------------------------------------------------------------------------------------------------------

run_with_python() {
  unset PYTHONPATH PYTHONHOME # of the job; pip starts Python again without -I, and would import what lies there
  find_python || fail "No Python 3.11 or newer was found on this runner (as python3, python or py)." \
    "Add a step with actions/setup-python before this one, or use a Linux runner with Docker or Podman."
  prepare_environment || fail "The action's Python packages could not be installed; the log above says why." \
    "It needs uv or pip, and the package index; without them, use a Linux runner with Docker or Podman."
  # PYTHONSAFEPATH: the workspace is the current directory, and a yaml.py in it is not ours.
  export PYTHONSAFEPATH=1 PYTHONUTF8=1 PYTHONUNBUFFERED=1
  PYTHONPATH=$(native_path "$action_path/src") exec "$(python_of "$environment")" -m dora_metrics action
}

# Sets python. The option -P exists since 3.11, so that an older Python fails by itself.
find_python() {
  local candidate words
  for candidate in python3 python python3.14 python3.13 python3.12 python3.11 "py -3"; do
    read -ra words <<<"$candidate"
    python=$("${words[@]}" -I -P -c 'import sys; print(sys.executable)' 2>/dev/null) || continue
    python=${python%$'\r'}
    return 0
  done
  return 1
}

# Sets environment: a virtual environment with the locked packages, made once per job. It gets its name only when it is
# whole and works, so that an installation that was cut short is never taken for one.
prepare_environment() {
  local key draft
  key=$({ "$python" -VV && cat "$action_path/requirements/runtime.txt"; } | hash_of) || return 1
  environment=$temp/dora-metrics-$key
  if [[ -d $environment ]]; then return 0; fi
  # Not without a folder: the names below it would be names in the root folder of the machine.
  draft=$(mktemp -d "${temp:?}/dora-metrics-draft.XXXXXX") || return 1
  if in_group "Install the action's Python packages" install_packages "${draft:?}"; then
    # Another step may have been faster; what it made is as good.
    [[ -d $environment ]] || mv "${draft:?}/venv" "$environment"
  fi
  rm -rf "${draft:?}"
  [[ -d $environment ]]
}

# Makes $1/venv. Nothing is taken from an earlier job, nor left for a later one: only hashes say what may be installed.
install_packages() {
  if find_uv "${1:?}" && install_with_uv "$1"; then return 0; fi
  rm -rf "${1:?}/venv"
  install_with_pip "$1"
}

# Sets uv: the runner's, or one that pip brings into $1/uv. Both together take a third of the time that pip takes for all
# packages.
find_uv() {
  uv=$(command -v uv) && return 0
  bring_uv "$1" && uv=$1/uv/bin/uv
}

# Wheels only: what building a source package needs is not in the lock file. Not compiled: a run compiles the modules
# that it loads in a fifth of the time that all of them take, and keeps them for the job's later steps.
# Without a cache: pip does not hash again what it once built or unpacked there, and neither does uv.
install_options=(--quiet --no-deps --only-binary :all: --require-hashes)
pip_options=("${install_options[@]}" --no-cache-dir --no-compile --disable-pip-version-check --no-input)
uv_options=("${install_options[@]}" --no-cache)

# uv does not read pip's settings, and must not ask the public index where they name another, or a way to it.
bring_uv() (
  use_settings_of_pip "$1" || exit 1
  [[ $has_own_index == false ]] || exit 1
  "$python" -I -m pip install "${pip_options[@]}" --target "$1/uv" --requirement "$action_path/requirements/uv.txt"
)

# Not from the workspace: its folder is not one whose settings count.
install_with_uv() (
  use_settings_of_uv "$1" || exit 1
  cd "$temp" &&
    "$uv" venv --quiet --no-project --python "$python" "$1/venv" &&
    "$uv" pip install "${uv_options[@]}" --python "$(python_of "$1/venv")" \
      --requirement "$action_path/requirements/runtime.txt" &&
    check_packages "$1/venv"
)

# pip of the base installation works on the new environment: giving it a pip of its own takes seconds.
# -I: the workspace has no say in what is imported.
install_with_pip() (
  use_settings_of_pip "$1" || exit 1
  "$python" -I -m venv --without-pip "$1/venv" &&
    "$python" -I -m pip --python "$(python_of "$1/venv")" install "${pip_options[@]}" \
      --requirement "$action_path/requirements/runtime.txt" &&
    check_packages "$1/venv"
)

# What an installer takes for done may lie elsewhere, or lack a package.
check_packages() {
  "$(python_of "$1")" -I "$action_path/action/check_packages.py" "$action_path/requirements/runtime.txt"
}

# Of all settings, in files and variables, those that say how an index is reached are used, and no others: one of an
# earlier job could add a package. pip that cannot read its settings installs nothing, since another index may be meant.
# Sets has_own_index.
use_settings_of_pip() {
  [[ -s $1/pip-variables ]] || list_settings_of_pip "$1" || return 1
  use_variables PIP_ "$1/pip-variables" || return 1
  has_own_index=false
  local name
  for name in "${!PIP_@}"; do
    case $name in PIP_CONFIG_FILE | PIP_TIMEOUT | PIP_RETRIES) ;; *) has_own_index=true ;; esac
  done
}

list_settings_of_pip() {
  unset PIP_PYTHON # another Python, whose settings would be listed
  "$python" -I -m pip config list --disable-pip-version-check >"$1/pip-settings" &&
    "$python" -I "$action_path/action/index_settings.py" pip <"$1/pip-settings" >"$1/pip-variables"
}

use_settings_of_uv() {
  "$python" -I "$action_path/action/index_settings.py" uv >"$1/uv-variables" &&
    use_variables UV_ "$1/uv-variables"
}

# Replaces the variables that begin with $1, whatever their case, by those in the file $2. Windows knows no case.
use_variables() {
  local name variable
  for name in $(compgen -e | grep -i "^$1"); do unset "$name"; done
  while IFS= read -r -d '' variable; do export "${variable?}"; done <"$2"
}

python_of() {
  if [[ -d $1/Scripts ]]; then echo "$1/Scripts/python.exe"; else echo "$1/bin/python"; fi
}

# --- Small things ---------------------------------------------------------------------------------------------------

fail() {
  annotate error "$@"
  exit 1
}

annotate() {
  local text="${*:2}"
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  echo "::$1 title=DORA metrics::${text//$'\n'/%0A}"
}

in_group() {
  local status=0
  echo "::group::$1"
  "${@:2}" 2>&1 || status=$?
  echo "::endgroup::"
  return "$status"
}

# macOS has shasum only.
hash_of() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16
}

# On Windows, bash speaks of /d/a and the rest of the world of D:\a.
unix_path() {
  if command -v cygpath >/dev/null; then cygpath -u "$1"; else echo "$1"; fi
}
native_path() {
  if command -v cygpath >/dev/null; then cygpath -w "$1"; else echo "$1"; fi
}

main
