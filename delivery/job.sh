#!/usr/bin/env bash
# One job of a pipeline in GitLab CI or AWS CodeBuild: bash delivery/job.sh plan|apply|rollout|rollback|drift|preview|preview-down
# The GitHub workflows do the same in steps. docs/gitlab-and-codebuild.md lists the variables that it reads.
#
# It needs bash, git, gpg, and Python 3.11 or newer with venv, and it installs Terraform.
set -euo pipefail

pipeline=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${DELIVERY_WORK:-$PWD/.delivery}/work
plan=$work/plan.tfplan

main() {
  local command=${1:-}
  : "${ROOT:?is the folder of the root module}" "${ENVIRONMENT:?names the environment}"
  mkdir -p "$work/bin"
  export PATH="$work/bin:$PATH" PYTHONPATH="$pipeline" TF_IN_AUTOMATION=1 TF_INPUT=0
  # Not `&&`, which turns `set -e` off in functions.
  case $command in
    plan) prepare keep; make_plan; policy_gate; save_plan ;;
    apply) prepare; apply_saved_plan ;;
    rollout) prepare; roll_out ;;
    rollback) prepare; roll_back ;;
    drift) prepare keep; make_plan; report_drift ;;
    preview) preview; make_plan; apply_plan; announce_preview ;;
    preview-down) preview; terraform -chdir="$ROOT" destroy -no-color -auto-approve ;;
    *) fail "unknown job ${command:-without a name}: use plan, apply, rollout, rollback, drift, preview or preview-down." ;;
  esac
}

fail() {
  echo "error: $*" >&2
  exit 1
}

# Programs, credentials, the Docker daemon, `terraform init`, and variables; `keep` keeps the version that serves.
prepare() {
  install_programs
  assume_role
  python -m delivery.docker_context
  if [[ ${DOCKER_HOST:-} == tcp://* && -n ${DOCKER_CERT_PATH:-} ]]; then
    # kreuzwerker/docker builds with a context's certificates only: docs/docker-daemon.md.
    unset DOCKER_HOST DOCKER_TLS_VERIFY
    export DOCKER_CONTEXT=delivery
  fi
  terraform -chdir="$ROOT" init -no-color ${BACKEND_CONFIG:+"-backend-config=$BACKEND_CONFIG"} ${BACKEND_KEY:+"-backend-config=key=$BACKEND_KEY"}
  if [[ -n ${VAR_FILE:-} ]]; then
    export TF_CLI_ARGS_plan="-var-file=$VAR_FILE" TF_CLI_ARGS_destroy="-var-file=$VAR_FILE"
  fi
  : > "$work/variables"
  # It prints the masked values for GitHub.
  GITHUB_ENV=$work/variables python -m delivery.job_variables --root "$ROOT" --source "${SOURCE:-}" --keep "${KEEP:-}" > "$work/log"
  if [[ ${1:-} == keep && ${KEEP_VERSION:-true} == true ]]; then
    python -m delivery variables --root "$ROOT" >> "$work/variables"
  fi
  local line
  while IFS= read -r line; do
    [[ -z $line ]] || export "${line?}"
  done < "$work/variables"
  rm "$work/variables" "$work/log"
}

install_programs() {
  command -v terraform > /dev/null || install_terraform "${TERRAFORM_VERSION:?is the version of Terraform to install}"
  [[ -x $work/venv/bin/python ]] || python3 -m venv "$work/venv"
  export PATH="$work/venv/bin:$PATH"
  python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$pipeline/requirements/delivery.txt"
}

install_terraform() {
  local releases=${TERRAFORM_RELEASES:-https://releases.hashicorp.com/terraform}/$1
  python3 - "$releases" "$1" "$work/bin" << 'PYTHON'
import hashlib, io, platform, sys, urllib.request, zipfile
from pathlib import Path

releases, version, folder = sys.argv[1:]
machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
name = f"terraform_{version}_linux_{machine}.zip"
archive = urllib.request.urlopen(f"{releases}/{name}").read()
sums = urllib.request.urlopen(f"{releases}/terraform_{version}_SHA256SUMS").read().decode()
if f"{hashlib.sha256(archive).hexdigest()}  {name}" not in sums.splitlines():
    sys.exit(f"error: the checksum of {name} is not in its release's list: nothing was installed.")
program = Path(zipfile.ZipFile(io.BytesIO(archive)).extract("terraform", folder))
program.chmod(0o755)
PYTHON
}

# GitLab's ID token becomes AWS credentials by the SDKs themselves. CodeBuild's role needs nothing.
assume_role() {
  [[ -n ${AWS_WEB_IDENTITY_TOKEN:-} ]] || return 0
  : "${AWS_ROLE_ARN:?is the role to assume with the ID token}"
  (umask 077 && printf '%s' "$AWS_WEB_IDENTITY_TOKEN" > "$work/token")
  unset AWS_WEB_IDENTITY_TOKEN
  export AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE="$work/token" AWS_ROLE_SESSION_NAME="${ENVIRONMENT}-${CI_JOB_ID:-job}"
}

make_plan() {
  local code=0
  rm -f "$plan" "$plan.gpg"
  terraform -chdir="$ROOT" plan -no-color -lock=false -detailed-exitcode -out="$plan" || code=$?
  [[ $code != 1 ]] || exit 1
  changes=$([[ $code == 2 ]] && echo true || echo false)
  python -m delivery.plan_comment --root "$ROOT" --plan "$plan" --title "Plan of $ENVIRONMENT" > "$work/plan.md"
  terraform -chdir="$ROOT" show -no-color -json "$plan" > "$work/plan.json"
  python -m delivery.merge_request widget "$work/plan.json" > "$work/widget.json"
  if [[ -n ${CI_MERGE_REQUEST_IID:-} && -n ${GITLAB_TOKEN:-} ]]; then
    python -m delivery.merge_request comment --key "plan-$ENVIRONMENT" "$work/plan.md"
  fi
}

policy_gate() {
  [[ ${POLICY:-true} == true ]] || return 0
  # Its pins of boto conflict with those of the delivery commands.
  [[ -x $work/policy/bin/python ]] || python3 -m venv "$work/policy"
  "$work/policy/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$pipeline/requirements/policy.txt"
  # Findings in a module that is not in this repository are reported at the plan: those that the module's register accepts are accepted.
  sed 's|where: modules/.*|where: plan.json|' "$pipeline/policy-skips.yaml" > .policy-inherited.yaml
  "$work/policy/bin/python" "$pipeline/policies/gate" . --only "$ROOT" --plan "$ROOT=$work/plan.json" \
    --inherit .policy-inherited.yaml ${POLICY_REGISTER:+--register "$POLICY_REGISTER"} --reports "$work/reports"
  rm .policy-inherited.yaml
}

# For the job that applies. A plan has every value in clear text.
save_plan() {
  rm "$work/plan.json"
  if [[ $changes == true && -n ${PLAN_PASSPHRASE:-} ]]; then
    python -m delivery.saved_plan encrypt "$plan"
  else
    rm "$plan"
  fi
}

apply_saved_plan() {
  if [[ ! -f $plan.gpg ]]; then
    echo "The plan has no changes: there is nothing to apply."
    return
  fi
  python -m delivery.saved_plan decrypt "$plan.gpg"
  apply_plan
  terraform -chdir="$ROOT" output -no-color
}

apply_plan() {
  python -m delivery.saved_plan apply --root "$ROOT" "$plan"
}

roll_out() {
  local steps alarms
  read -ra steps <<< "${ROLLOUT_STEPS:-10 50 100}"
  read -ra alarms <<< "${ALARMS:-}"
  trap say_what_serves EXIT
  run python -m delivery rollout --root "$ROOT" --steps "${steps[@]}" --minutes "${ROLLOUT_MINUTES:-5}" "${alarms[@]/#/--alarm=}" \
    --journal "${JOURNAL:?is where the journal is kept, s3://bucket/key}"
}

roll_back() {
  run python -m delivery rollback --root "$ROOT" ${ROLLBACK_VERSION:+--to "$ROLLBACK_VERSION"} \
    --journal "${JOURNAL:?is where the journal is kept, s3://bucket/key}"
}

# A cancelled job's signal reaches the command, which then returns to the version that served.
run() {
  local code=0 child
  "$@" &
  child=$!
  trap 'kill -TERM "$child"' TERM INT
  wait "$child" || code=$?
  # After a signal, `wait` returns before the command does.
  while kill -0 "$child" 2> /dev/null; do
    wait "$child" && code=0 || code=$?
  done
  trap - TERM INT
  return "$code"
}

say_what_serves() {
  python -m delivery status --root "$ROOT" --journal "$JOURNAL" || true
}

report_drift() {
  rm -f "$plan" "$work/plan.json"
  local key=drift-$ENVIRONMENT title="$ENVIRONMENT differs from its configuration"
  if [[ $changes == true ]]; then
    [[ -z ${GITLAB_TOKEN:-} ]] || python -m delivery.merge_request issue --key "$key" --title "$title" "$work/plan.md"
    fail "$title: the plan is above."
  fi
  [[ -z ${GITLAB_TOKEN:-} ]] || python -m delivery.merge_request close-issue --key "$key" --comment "The plan shows no changes any more."
}

preview() {
  : "${PREVIEW:?is the number of the merge request}"
  BACKEND_KEY=${STATE_PREFIX:-previews/}mr-$PREVIEW.tfstate
  VARIABLES="${VARIABLES:-}"$'\n'"preview=$PREVIEW"
  export VARIABLES
  prepare
}

announce_preview() {
  local endpoint
  endpoint=$(terraform -chdir="$ROOT" output -no-color -raw endpoint)
  echo "PREVIEW_URL=$endpoint" > "$work/preview.env"
  printf '### Preview\n\n%s\n\nIt is destroyed when this merge request is closed.\n' "$endpoint" > "$work/preview.md"
  if [[ -n ${CI_MERGE_REQUEST_IID:-} && -n ${GITLAB_TOKEN:-} ]]; then
    python -m delivery.merge_request comment --key preview "$work/preview.md"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
fi
