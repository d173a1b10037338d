#!/usr/bin/env bash
# Builds the real Dockerfile and runs the action in it as a runner would, without a container daemon or a registry.
#
# As root, with buildah and debootstrap. The base (Debian with its Python) is made once, below build/container.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/container
runner=$work/runner
owner=1001:118 # any user but root: the image has to write for whoever owns the runner's files
secret=ghs_must_not_be_seen
export BASE=localhost/dora-metrics-base BUILD_OPTIONS CONTAINERS_STORAGE_CONF=$work/storage.conf
export DOCKER_CALLS=$work/docker-calls

main() {
  need buildah debootstrap python3
  ((EUID == 0)) || stop "this test makes a root file system, so it needs root"
  mkdir -p "$work"
  own_storage
  make_base
  BUILD_OPTIONS=$(package_index)
  timed "build and first use" use_action
  check_results
  timed "second use" use_action
  check_results
  check "the second step builds nothing" test "$(grep -c '^docker build' "$DOCKER_CALLS")" = 1
  check "no secret is on a command line" lacks "$secret" "$DOCKER_CALLS"
  check_layers
}

# Images and containers of this test only, and none of an earlier run of it but the base.
own_storage() {
  printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "${STORAGE_DRIVER:-overlay}" "$work/storage" "$work/storage-run" >"$CONTAINERS_STORAGE_CONF"
  buildah rm --all >/dev/null
  buildah images --quiet --filter label=org.opencontainers.image.title=dora-metrics | xargs -r buildah rmi --force >/dev/null
  rm -rf "$DOCKER_CALLS" "$runner"
}

make_base() {
  if buildah inspect --type image "$BASE" >/dev/null 2>&1; then return; fi
  timed "debootstrap" make_base_archive
  local container
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$work/base.tar" / >/dev/null
  buildah commit --quiet "$container" "$BASE" >/dev/null
  buildah rm "$container" >/dev/null
}

# The mirror is the machine's own; elsewhere than on Debian, debootstrap's default.
make_base_archive() {
  if [[ -f $work/base.tar ]]; then return; fi
  local mirror
  # shellcheck disable=SC2016 # apt-get replaces $(REPO_URI), not the shell
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: bookworm" "Component: main" |
    grep -v security | head -n 1 || true)
  rm -rf "$work/rootfs"
  debootstrap --variant=minbase --include=python3,python3-venv bookworm "$work/rootfs" ${mirror:+"$mirror"} \
    >"$work/debootstrap.log" 2>&1 || stop "debootstrap failed; see $work/debootstrap.log"
  tar --directory "$work/rootfs" --create --file "$work/base.part" --exclude='./dev/*' --exclude='./proc/*' \
    --exclude='./sys/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/doc/*' \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' .
  mv "$work/base.part" "$work/base.tar"
  rm -rf "$work/rootfs"
}

# What pip needs on this machine: its settings, and the local files and folders that they name. They are mounted for the
# build only; nothing of them is in the image.
package_index() {
  local path
  {
    echo "[global]"
    python3 -m pip config list | sed -nE "s/^[^=]*\.([a-z-]+)='(.*)'$/\1 = \2/p" | sed 's/\\n/ /g' | sort -u -t = -k 1,1
  } >"$work/pip.conf"
  echo "--volume=$work/pip.conf:/etc/pip.conf:ro"
  # A host's name that is not in DNS.
  [[ ! -f /etc/resolv.conf ]] || echo "--volume=/etc/resolv.conf:/etc/resolv.conf:ro"
  # An index in a folder refers to the files beside it.
  # shellcheck disable=SC2013 # each word, since a line names several
  for path in $(sed 's/^[^=]*= *//; s|file://[^/]*||g; s|/simple||g' "$work/pip.conf"); do
    if [[ $path == /* && -e $path ]]; then echo "--volume=$path:$path:ro"; fi
  done
}

# One use of the action: the folders, files and variables that a runner has. Its temporary folder is that of the job.
use_action() {
  rm -rf "${runner:?}/bin" "$runner/work/shop" "$runner/work/_temp/"_*
  # A checkout with a settings file, so that the settings do not have to come from GitHub.
  mkdir -p "$runner/work/shop/"{.git,.github} "$runner/work/_temp/_github_workflow" "$runner/work/_temp/_runner_file_commands" \
    "$runner/bin"
  local temp=$runner/work/_temp
  echo 'window: 30d' >"$runner/work/shop/.github/dora.yml"
  event >"$temp/_github_workflow/event.json"
  echo 'ref: refs/heads/main' >"$runner/work/shop/.git/HEAD"
  echo 'raise SystemExit("the workspace was imported")' >"$runner/work/shop/pydantic.py"
  touch "$temp/_runner_file_commands/"{output,summary}
  chown -R "$owner" "$runner/work"
  ln -sf "$root/tests/container/docker" "$runner/bin/docker"
  # shellcheck disable=SC2016 # $1 is the argument of the program that is written here
  printf '#!/bin/sh\ncase "$1" in -u) echo %s ;; -g) echo %s ;; esac\n' "${owner%:*}" "${owner#*:}" >"$runner/bin/id"
  chmod +x "$runner/bin/id"

  # GITHUB_API_URL: nobody listens there, and the action has to say so and go on.
  PATH=$runner/bin:$PATH DORA_ACTION_PATH=$root DORA_RUNTIME=container \
    DORA_INPUTS="{\"github-token\": \"$secret\", \"ledger\": \"dir:ledger\", \"deployment-source\": \"deployments\"}" \
    CI=true GITHUB_ACTIONS=true GITHUB_WORKSPACE=$runner/work/shop RUNNER_TEMP=$temp RUNNER_OS=Linux \
    GITHUB_REPOSITORY=acme/shop GITHUB_EVENT_NAME=deployment_status GITHUB_SHA=$sha GITHUB_REF=refs/heads/main \
    GITHUB_SERVER_URL=https://github.com GITHUB_API_URL=http://127.0.0.1:9 GITHUB_RUN_ID=1 GITHUB_RUN_ATTEMPT=1 \
    GITHUB_GRAPHQL_URL=http://127.0.0.1:9/graphql \
    GITHUB_EVENT_PATH=$temp/_github_workflow/event.json \
    GITHUB_OUTPUT=$temp/_runner_file_commands/output GITHUB_STEP_SUMMARY=$temp/_runner_file_commands/summary \
    "$root/action/run.sh" >"$work/log" 2>&1 || { cat "$work/log" && stop "the action failed"; }
}

sha=f95f852bd8fca8fcc58a9a2d6c842781e32a215e
event() {
  local at
  at=$(date --utc --date='1 hour ago' +%Y-%m-%dT%H:%M:%SZ)
  cat <<JSON
{
  "action": "created",
  "deployment_status": {
    "id": 209916254, "state": "success", "environment": "production", "description": "", "target_url": "",
    "log_url": "", "environment_url": "", "created_at": "$at", "updated_at": "$at",
    "creator": {"login": "octocat", "type": "User"}
  },
  "deployment": {
    "id": 145988746, "sha": "$sha", "ref": "main", "task": "deploy", "payload": {}, "description": null,
    "environment": "production", "original_environment": "production", "created_at": "$at", "updated_at": "$at",
    "creator": {"login": "octocat", "type": "User"}
  },
  "repository": {
    "id": 186853002, "name": "shop", "full_name": "acme/shop", "default_branch": "main",
    "html_url": "https://github.com/acme/shop", "owner": {"login": "acme"}
  }
}
JSON
}

check_results() {
  local files=$runner/work/_temp/_runner_file_commands
  # name<<delimiter, then the value on a line of its own
  check "the outputs are written" grep -Pzq 'deployment-frequency<<\w+\n0\.0' "$files/output"
  check "the summary is written" grep -q production "$files/summary"
  check "the ledger has the deployment" grep -rqs github:deployment:145988746 "$runner/work/shop/ledger"
  # The script's own mark is of the user that runs this test.
  check "all files belong to the runner's user" \
    test -z "$(find "$runner/work" -not -user "${owner%:*}" -not -name 'dora-metrics-image-*')"
  check "no secret is in the log" lacks "$secret" "$work/log"
}

lacks() { ! grep -qF "$1" "$2"; }

# The next version: another line of our code, and nothing else. It is built from nothing, as a release is.
check_layers() {
  local image next=localhost/dora-metrics-next
  image=$(sed -nE 's/^docker run .* (localhost[^ ]*) action$/\1/p' "$DOCKER_CALLS" | tail -n 1)
  rm -rf "$work/next"
  mkdir "$work/next"
  cp -r "$root/"{Dockerfile,requirements,src,templates} "$work/next"
  echo '# another version' >>"$work/next/src/dora_metrics/__init__.py"
  "$root/tests/container/docker" build --quiet --tag "$next" --file "$work/next/Dockerfile" "$work/next" >"$work/log" 2>&1
  layers_of "$image" >"$work/layers"
  layers_of "$next" >"$work/layers-next"
  check "base, packages and code are a layer each" test "$(wc -l <"$work/layers")" = 3
  check "another version has the same base and packages" diff <(head -n 2 "$work/layers") <(head -n 2 "$work/layers-next")
  check "another version has other code" lacks "$(tail -n 1 "$work/layers")" "$work/layers-next"
  awk '{ printf "%s %.2f MB", NR == 1 ? "compressed: base (here Debian)" : NR == 2 ? ", packages" : ", code", $2 / 1e6 }
       END { print "" }' "$work/layers"
}

# Digest and size of each layer, the base first.
layers_of() {
  local manifest layout=$work/layout
  rm -rf "$layout"
  buildah push --quiet "$1" "oci:$layout" >/dev/null
  manifest=$layout/blobs/sha256/$(sed -nE 's/.*"digest":"sha256:([0-9a-f]+)".*/\1/p' "$layout/index.json")
  tr -d ' \n' <"$manifest" | sed -E 's/.*"layers":\[//; s/\}/\n/g' |
    sed -nE 's/.*"digest":"([^"]+)","size":([0-9]+).*/\1 \2/p'
  rm -rf "$layout"
}

timed() {
  local start=$EPOCHREALTIME
  "${@:2}"
  awk -v what="$1" -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%s: %.1f s\n", what, end - start }'
}

check() {
  if "${@:2}"; then echo "ok: $1"; else cat "$work/log" && stop "not true: $1"; fi
}

need() {
  local name
  for name in "$@"; do
    command -v "$name" >/dev/null || stop "$name is not installed"
  done
}

stop() {
  echo "tests/container: $*" >&2
  exit 1
}

main
